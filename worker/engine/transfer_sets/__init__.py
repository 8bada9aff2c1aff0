"""The readers: one file a format, named as in `app.contract.transfer`; each defines `read`."""
