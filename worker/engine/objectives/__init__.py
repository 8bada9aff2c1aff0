"""The formulas: one file a method, named as its class in `app.contract.objectives`; each defines `Loss`."""
