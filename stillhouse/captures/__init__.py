"""Networks written down as calls of operators. Needs torch, so it is imported only where a network is captured."""
