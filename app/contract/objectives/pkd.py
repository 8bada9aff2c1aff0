"""Distillation by Pearson's correlation."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Pkd(AdaptedTerm):
    """1 - Pearson's correlation of each channel with the teacher's, over all positions of all samples of a batch.

    That is half the mean squared error of features whose channels have mean 0 and standard deviation 1: scales and
    offsets of the two networks do not matter. A channel of which all values are equal correlates with nothing.
    Made for the maps of a detector's feature pyramid; it works on maps of any network.
    """

    title: ClassVar[str] = "Pearson distillation"
    formula: ClassVar[str] = "mean_K (1 - ρ_BHW(r(h_s), h_t)), ρ = Pearson's correlation"
    paper: ClassVar[str] = "Cao et al. 2022 (PKD), arXiv:2207.02039"
    branch: ClassVar[Branch] = "dense"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    relational: ClassVar[bool] = True

    kind: Literal["pkd"] = "pkd"
    weight: Weight = 6.0
    """What the term's value is multiplied with; the authors take 6 for each level of a pyramid."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    adapter: AdapterKind = "auto"
    """r."""
