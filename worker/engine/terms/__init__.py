"""What the methods share: the batch that they see, the places that they compare, and pieces of their formulas."""
