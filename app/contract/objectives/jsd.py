"""Generalised Jensen-Shannon divergence."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class Jsd(Term):
    """Both distributions against their mixture, between soft targets (small β) and reverse KL (β near 1).

    Bounded, unlike either: no class that one side rules out costs more than the mixture's logarithm. Eq. 1 of the
    paper, at each row (sample or token), averaged over the batch; its factor T², as in soft targets, is 1 at the
    paper's temperature.
    """

    title: ClassVar[str] = "Generalised Jensen-Shannon divergence"
    formula: ClassVar[str] = (
        "T² · mean_B (β · KL(p ‖ m) + (1 - β) · KL(q ‖ m)), m = β · p + (1 - β) · q, "
        "p = softmax(t / T), q = softmax(s / T)"
    )
    paper: ClassVar[str] = "Agarwal et al. 2023 (GKD), arXiv:2306.13649"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    coarse: ClassVar[bool] = True

    kind: Literal["jsd"] = "jsd"
    beta: float = Field(default=0.5, gt=0, lt=1)
    """β: the teacher's part in the mixture; the paper tries 0.1, 0.5 and 0.9. At 0.5 both sides count alike."""
    temperature: Temperature = 1.0
    """Softens both distributions; a number or a schedule above 0."""
