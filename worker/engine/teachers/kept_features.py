"""What a file keeps of the features of teachers, and how it lies there. B = batch."""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from app.contract.taps import Layout
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.feature import Feature
from worker.engine.teachers.target_file import Entries

Place = tuple[int, str]
"""A member of an ensemble, and a tap of it."""
Heard = Mapping[Place, Feature]


class KeptFeatures:
    """Features that have the same shape for every sample, as float16."""

    def __init__(self, example: Heard) -> None:
        """`example`: of any batch."""
        self._layouts: dict[str, tuple[Place, Layout]] = {
            _name(place): (place, found.layout) for place, found in example.items()
        }
        self.a_row: Entries = {
            _name(place): (torch.float16, tuple(found.value.shape[1:])) for place, found in example.items()
        }

    @property
    def bytes(self) -> int:
        """Of one sample."""
        return sum(2 * prod(shape) for _, shape in self.a_row.values())

    def encode(self, said: Heard) -> dict[str, Tensor]:
        limit = torch.finfo(torch.float16).max
        return {_name(place): found.value.clamp(-limit, limit).to(torch.float16) for place, found in said.items()}

    def decode(self, found: Mapping[str, Tensor]) -> Heard:
        return {place: Feature(found[name].float(), layout) for name, (place, layout) in self._layouts.items()}

    def finite(self, said: Heard) -> Tensor:
        return torch.stack([torch.isfinite(found.value).flatten(1).all(1) for found in said.values()]).all(0)


def keepable(example: Heard, inputs: Inputs) -> bool:
    """Return whether features have a shape that does not depend on the sample, and mean something everywhere."""
    texts = isinstance(inputs, Tokens)
    return all(found.mask is None and (found.layout == "vector" or not texts) for found in example.values())


def _name(place: Place) -> str:
    member, tap = place
    return f"{member}/{tap}"
