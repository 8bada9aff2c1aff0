"""Relational knowledge distillation."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair


class Rkd(FeatureTerm):
    """Huber loss between distances of samples over their mean, and between angles of triples of samples.

    Averaged over all pairs and triples of a batch as in the published code, which counts those of a sample with itself
    as 0. Maps are flattened, tokens averaged over those that count. The angles of a batch of B samples are B³ numbers,
    worked out in pieces: time grows with B³, memory with B².
    """

    title: ClassVar[str] = "Relational distillation"
    formula: ClassVar[str] = (
        "λ_D · mean_ij huber(|x_i - x_j| / μ) + λ_A · mean_ijk huber(cos ∠ x_i x_j x_k), "
        "huber of student's less teacher's, μ = mean distance"
    )
    paper: ClassVar[str] = "Park et al. 2019, arXiv:1904.05068"
    branch: ClassVar[Branch] = "relation"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})
    relational: ClassVar[bool] = True

    kind: Literal["rkd"] = "rkd"
    layers: Layers = (Pair(teacher="pooled", student="pooled"),)
    distance: float = Field(default=25.0, ge=0)
    """λ_D: weight of the distances; 0 leaves them out."""
    angle: float = Field(default=50.0, ge=0)
    """λ_A: weight of the angles; 0 leaves them out."""

    @model_validator(mode="after")
    def _has_relations(self) -> Self:
        if not self.distance and not self.angle:
            raise ValueError("distance and angle are both 0, so there is nothing to learn")
        return self
