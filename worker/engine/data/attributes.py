"""What the values of a sample stand for."""

from dataclasses import dataclass
from math import prod

from worker.engine.data.samples import Samples


@dataclass(frozen=True)
class Attribute:
    """Neighbouring values of a flattened sample that say one thing."""

    start: int
    stop: int
    nominal: bool
    """Whether they stand for one of several names, rather than for an amount."""


def attributes_of(samples: Samples) -> tuple[Attribute, ...]:
    """Return what a set says of its values; where it says nothing, each is an amount of its own."""
    known: tuple[Attribute, ...] | None = getattr(samples, "attributes", None)
    if known is not None:
        return known
    return tuple(Attribute(place, place + 1, nominal=False) for place in range(prod(samples.shape)))
