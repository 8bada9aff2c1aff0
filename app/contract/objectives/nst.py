"""Neuron selectivity transfer."""

from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Nst(FeatureTerm):
    """Maximum mean discrepancy between the maps of the teacher's channels and of the student's, as two sets.

    Each map is divided by its length. Channels need not be as many.
    """

    title: ClassVar[str] = "Neuron selectivity transfer (NST)"
    formula: ClassVar[str] = (
        "mean_B [mean k(t, t') + mean k(s, s') - 2 mean k(s, t)] over unit maps of channels; "
        "k = x·y, (x·y)² or exp(-|x - y|² / 2σ²)"
    )
    paper: ClassVar[str] = "Huang & Wang 2017, arXiv:1707.01219"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    joins: ClassVar[Joins] = "resized"

    kind: Literal["nst"] = "nst"
    weight: Weight = 150.0
    """What the term's value is multiplied with; RepDistiller has 50 for the sum over three stages."""
    layers: Layers = (Pair(teacher="stage:*", student="stage:*"),)
    kernel: Literal["linear", "polynomial", "gaussian"] = "polynomial"
    """k. `polynomial` is of degree 2 without offset; the σ² of `gaussian` is the mean of the squared distances between
    the teacher's channels, of each sample."""
