"""Correlation congruence."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class CorrelationCongruence(FeatureTerm):
    """Mean squared error between how samples of a batch correlate: a Gaussian kernel by its Taylor series.

    Features are compared as they are, each divided by its length; the authors train linear maps of both networks'
    features to one size before. Maps are flattened, tokens averaged over those that count.
    """

    title: ClassVar[str] = "Correlation congruence"
    formula: ClassVar[str] = "mean_ij (k(s_i, s_j) - k(t_i, t_j))², k(x, y) = e^(-2γ) Σ_p≤P (2γ)^p / p! · cos(x, y)^p"
    paper: ClassVar[str] = "Peng et al. 2019, arXiv:1904.01802"
    branch: ClassVar[Branch] = "relation"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})
    relational: ClassVar[bool] = True

    kind: Literal["correlation_congruence"] = "correlation_congruence"
    weight: Weight = 100.0
    """What the term's value is multiplied with; kernels lie between 0 and 1, so their squared differences are small."""
    layers: Layers = (Pair(teacher="pooled", student="pooled"),)
    gamma: float = Field(default=0.4, gt=0, le=10)
    """γ: how fast correlation falls with distance."""
    order: int = Field(default=2, ge=1, le=16)
    """P: where the series ends."""
