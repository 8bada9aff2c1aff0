"""Masked generative distillation."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Mgd(FeatureTerm):
    """Squared error between the teacher's map and one that is made of the student's, of which a random part is masked.

    A 1 x 1 convolution where channels differ, the mask, then two 3 x 3 convolutions with ReLU between, all trained with
    the student. Added up over channels and positions as in the paper, whose weights are small for that.
    """

    title: ClassVar[str] = "Masked generative distillation"
    formula: ClassVar[str] = "mean_B Σ_K,HW (h_t - g(m · r(h_s)))², m = 0 with probability λ, else 1"
    paper: ClassVar[str] = "Yang et al. 2022 (MGD), arXiv:2205.01529"
    branch: ClassVar[Branch] = "dense"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    joins: ClassVar[Joins] = "adapted"

    kind: Literal["mgd"] = "mgd"
    weight: Weight = 2e-5
    """α, what the term's value is multiplied with; the paper takes 2e-5 for dense prediction, 7e-5 for classes."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    masked: float = Field(default=0.65, ge=0, lt=1)
    """λ: the share that is masked; the authors take 0.65 or 0.45 for detectors, 0.75 for segmentation, 0.15 of the
    channels for classes."""
    mask: Literal["positions", "channels"] = "positions"
    """What is masked as one: a position in all channels, or (of classifiers) a channel at all positions."""
