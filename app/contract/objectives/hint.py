"""Hints."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair


class Hint(AdaptedTerm):
    """Mean squared error between the teacher's features and the student's after a regressor.

    The paper trains on the hint alone first (a stage of its own), and on soft targets then.
    """

    title: ClassVar[str] = "Hints (FitNets)"
    formula: ClassVar[str] = "mean_B mean_positions,channels (r(h_s) - h_t)²"
    paper: ClassVar[str] = "Romero et al. 2015 (FitNets), arXiv:1412.6550"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})

    kind: Literal["hint"] = "hint"
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    adapter: AdapterKind = "auto"
    """The regressor r."""
