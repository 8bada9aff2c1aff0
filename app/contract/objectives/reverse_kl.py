"""Reverse Kullback-Leibler divergence."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class ReverseKl(Term):
    """Kullback-Leibler divergence from the student's distribution to the teacher's: what it cannot do, it leaves out.

    Soft targets make a small student cover all that the teacher thinks possible; this one makes it keep to the
    teacher's surest classes. Computed in full at each row (sample or token) and averaged over the batch; the paper's
    policy gradient over whole sequences is another thing.
    """

    title: ClassVar[str] = "Reverse KL"
    formula: ClassVar[str] = "T² · mean_B KL(softmax(s / T) ‖ softmax(t / T))"
    paper: ClassVar[str] = "Gu et al. 2023 (MiniLLM), arXiv:2306.08543"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    coarse: ClassVar[bool] = True

    kind: Literal["reverse_kl"] = "reverse_kl"
    temperature: Temperature = 1.0
    """Softens both distributions; a number or a schedule above 0."""
