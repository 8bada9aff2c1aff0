"""One job in several processes, one a device: each learns from its share of every batch."""
