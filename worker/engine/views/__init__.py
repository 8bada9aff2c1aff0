"""How networks see samples: augmented, each through its own preprocessing."""
