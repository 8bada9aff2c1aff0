"""Captured networks as plain data: tensors, calls of operators, and what goes in. See `architectures/graph.py`."""
