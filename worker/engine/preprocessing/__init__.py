"""The preprocessing: one file a kind, named as in `app.contract.preprocessing`.

Of texts each defines `Encoder(settings)`, which has `encode(texts)`, the numbers of each text's tokens, `spell(lists)`,
the same of lists of words and where each word begins, `padding`, the number that stands where there is no token, and
`size`, how many different numbers there are. It raises Refused where the settings are no good. Of pictures `image`
defines `Pixels(settings)`, which takes a batch as it lies in the set.
"""
