"""Soft targets."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class SoftTarget(Term):
    """Kullback-Leibler divergence from the teacher's softened distribution to the student's.

    Averaged over the batch, never over classes. The factor T² keeps the gradient's size when T changes.
    """

    title: ClassVar[str] = "Soft targets"
    formula: ClassVar[str] = "T² · mean_B KL(softmax(t / T) ‖ softmax(s / T))"
    paper: ClassVar[str] = "Hinton, Vinyals, Dean 2015, arXiv:1503.02531"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    coarse: ClassVar[bool] = True

    kind: Literal["soft_target"] = "soft_target"
    temperature: Temperature = 4.0
    """Softens both distributions; a number or a schedule above 0."""
