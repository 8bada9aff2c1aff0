"""Networks before they learn: their size and names, what their weights are loaded from."""
