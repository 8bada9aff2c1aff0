"""Attention transfer."""

from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair


class AttentionTransfer(FeatureTerm):
    """Distance between the maps of where channels are active, each divided by its length.

    Published code and paper disagree: `code` takes the mean of squared differences, `paper` half the length of the
    difference. Channels need not be as many.
    """

    title: ClassVar[str] = "Attention transfer"
    formula: ClassVar[str] = "Q = vec(mean_K |h|^p); code: mean_B,HW (Q_s/|Q_s| - Q_t/|Q_t|)²; paper: mean_B ½ |...|"
    paper: ClassVar[str] = "Zagoruyko & Komodakis 2017, arXiv:1612.03928"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    joins: ClassVar[Joins] = "resized"

    kind: Literal["attention_transfer"] = "attention_transfer"
    layers: Layers = (Pair(teacher="stage:*", student="stage:*"),)
    power: Literal[1, 2, 4] = 2
    """The exponent p."""
    formulation: Literal["code", "paper"] = "code"
    """Which of the two formulas."""
