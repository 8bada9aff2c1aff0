"""Captured networks at work: operators by name, programs run call by call, first values."""
