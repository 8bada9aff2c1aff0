"""Similarity-preserving distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class SimilarityPreserving(FeatureTerm):
    """Squared differences between how alike the samples of a batch are: rows of inner products, each of length 1.

    Maps are flattened, tokens averaged over those that count. Shapes need not be the same.
    """

    title: ClassVar[str] = "Similarity-preserving distillation"
    formula: ClassVar[str] = "1/B² · Σ_ij (n(F_s F_sᵀ)_ij - n(F_t F_tᵀ)_ij)², F (B, KHW), n: rows of length 1"
    paper: ClassVar[str] = "Tung & Mori 2019, arXiv:1907.09682"
    branch: ClassVar[Branch] = "relation"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})
    relational: ClassVar[bool] = True

    kind: Literal["similarity_preserving"] = "similarity_preserving"
    weight: Weight = 3000.0
    """What the term's value is multiplied with; the paper takes 3000."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
