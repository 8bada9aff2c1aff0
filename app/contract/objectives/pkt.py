"""Probabilistic knowledge transfer."""

from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Pkt(FeatureTerm):
    """Kullback-Leibler divergence between how probable it is that one sample takes another for its neighbour.

    Probabilities are cosines, moved to 0 ... 1 and divided by their sum over the batch. As in the published code the
    value is averaged over all B² pairs; the paper adds up those of different samples. Maps are flattened, tokens
    averaged over those that count.
    """

    title: ClassVar[str] = "Probabilistic knowledge transfer"
    formula: ClassVar[str] = "mean_ij p_ij log (p_ij / q_ij), p_ij = k_ij / Σ_j k_ij, k_ij = (cos(x_i, x_j) + 1) / 2"
    paper: ClassVar[str] = "Passalis & Tefas 2018, arXiv:1803.10837"
    branch: ClassVar[Branch] = "relation"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})
    relational: ClassVar[bool] = True

    kind: Literal["pkt"] = "pkt"
    weight: Weight = 30_000.0
    """What the term's value, a small one, is multiplied with; published comparisons take 30,000."""
    layers: Layers = (Pair(teacher="pooled", student="pooled"),)
