"""Cosine of hidden states."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair


class HiddenCosine(AdaptedTerm):
    """One less the cosine between both networks' states of each token, averaged over the tokens that count.

    Each sample counts alike; in the authors' code each token does. Maps are compared position by position.
    """

    title: ClassVar[str] = "Cosine of hidden states"
    formula: ClassVar[str] = "mean_B mean_positions (1 - cos(r(h_s), h_t))"
    paper: ClassVar[str] = "Sanh et al. 2019 (DistilBERT), arXiv:1910.01108"
    branch: ClassVar[Branch] = "attention"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})

    kind: Literal["hidden_cosine"] = "hidden_cosine"
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    adapter: AdapterKind = "auto"
    """r, which the paper's networks, being equally wide, do without."""
