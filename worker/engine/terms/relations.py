"""The samples of a batch as points and directions, for terms that relate them. B = batch, D = numbers of a sample."""

import torch
from torch import Tensor

from worker.engine.taps.feature import Feature


def points(feature: Feature) -> Tensor:
    """Return a point (B, D) for each sample: maps flattened, tokens averaged over those that count."""
    return feature.value.flatten(1) if feature.layout == "map" else feature.pooled()


def directions(values: Tensor, dim: int = -1) -> Tensor:
    """Return values over their length along a dimension; 0, without a gradient, where all of them are 0."""
    scale = values.detach().abs().amax(dim, keepdim=True)
    some = scale > torch.finfo(values.dtype).tiny
    # Directions do not depend on the scale, so dividing by it first changes nothing but that no square can overflow.
    values = values / scale.where(some, 1.0)
    length = values.square().sum(dim, keepdim=True).where(some, 1.0).sqrt()
    return (values / length).where(some, 0.0)


def cosines(points_BD: Tensor) -> Tensor:
    """Return the cosines (B, B) between points; 0 with a point at 0."""
    directions_BD = directions(points_BD)
    return directions_BD @ directions_BD.T
