"""Values swapped between neighbours."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Munge(Augmentation):
    """Takes values from the nearest training sample: for tables, and for other arrays of plain numbers.

    With `probability`, each attribute becomes the neighbour's: a category as it is, a number drawn from a normal
    around the neighbour's with standard deviation |own - neighbour's| / `spread`. Nearness is Euclidean over numbers
    divided by their standard deviation; a different category counts 1. A label stays the sample's own.
    """

    title: ClassVar[str] = "MUNGE"
    paper: ClassVar[str] = "Bucila, Caruana, Niculescu-Mizil 2006, Model compression (KDD)"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array"})
    borrows: ClassVar[bool] = True

    kind: Literal["munge"] = "munge"
    probability: float = Field(default=0.5, gt=0, le=1)
    """Of each attribute (the paper's p); the paper tunes it."""
    spread: float = Field(default=1.0, gt=0, le=1e6)
    """The paper's s, its local variance: the larger, the closer to the neighbour's value."""
