"""Soft targets of classes that do not rule one another out."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class Multilabel(Term):
    """Each class is a question of its own, yes or no: for networks that end in sigmoids.

    Summed over classes, averaged over the batch. An ensemble must be combined by `logits`: a mean distribution over
    classes has no logit for each of them. The report's accuracy and agreement look at the most probable class.
    """

    title: ClassVar[str] = "Multi-label soft targets"
    formula: ClassVar[str] = "T² · mean_B Σ_C KL((σ(t / T), 1 - σ(t / T)) ‖ (σ(s / T), 1 - σ(s / T))), σ = sigmoid"
    paper: ClassVar[str] = "One-versus-all distillation: Yang et al. 2023 (L2D), arXiv:2308.06453"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    raw: ClassVar[bool] = True

    kind: Literal["multilabel"] = "multilabel"
    temperature: Temperature = 1.0
    """Softens every answer; a number or a schedule above 0."""
