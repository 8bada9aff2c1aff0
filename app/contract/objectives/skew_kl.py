"""Skew Kullback-Leibler divergence."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class SkewKl(Term):
    """Kullback-Leibler divergence to a mixture that holds a little of both sides, so that its gradient stays tame.

    Averaged over the batch of rows (samples or tokens). The skew bounds the value by -log α, and the logarithm never
    meets a probability of 0. The paper works at temperature 1, where the factor T² is 1.
    """

    title: ClassVar[str] = "Skew KL"
    formula: ClassVar[str] = (
        "T² · mean_B KL(p ‖ α · p + (1 - α) · q), or in reverse T² · mean_B KL(q ‖ (1 - α) · p + α · q), "
        "p = softmax(t / T), q = softmax(s / T)"
    )
    paper: ClassVar[str] = "Ko et al. 2024 (DistiLLM), arXiv:2402.03898"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    coarse: ClassVar[bool] = True

    kind: Literal["skew_kl"] = "skew_kl"
    direction: Literal["forward", "reverse"] = "forward"
    """`forward`: from the teacher to the mixture, like soft targets; `reverse`: from the student, like reverse KL."""
    alpha: float = Field(default=0.1, gt=0, lt=1)
    """α: the part of the side from which the divergence is taken."""
    temperature: Temperature = 1.0
    """Softens both distributions; a number or a schedule above 0."""
