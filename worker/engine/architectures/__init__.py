"""The networks: one file a family, named as in `app.contract.architectures`; each defines `Network`."""
