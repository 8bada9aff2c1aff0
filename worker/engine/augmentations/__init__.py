"""The augmentations: one file each, named as in `app.contract.augmentations`.

`change(step, raw, draws)` returns the batch changed. A step that learns defines `learn(step, training)`, `training`
being the samples of the training part, and its `change` takes what that returned as a fourth argument. A step that
mixes defines `share(step, shape, draws)`, the part (B,) of each sample and its label that is its own, and
`blend(step, raw, other, draws)`. A step that borrows defines `exchange(step, raw, other, draws, attributes)`, where
`other` holds each sample's nearest neighbour.
"""
