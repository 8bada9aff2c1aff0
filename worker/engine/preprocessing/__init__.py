"""The preprocessing: one file a kind, named as in `app.contract.preprocessing`; each defines `Encoder`.

`Encoder(settings)` has `encode(texts)`, the numbers of each text's tokens, `padding`, the number that stands where
there is no token, and `size`, how many different numbers there are. It raises Refused where the settings are no good.
"""
