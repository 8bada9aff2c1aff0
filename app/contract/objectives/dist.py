"""Relations within and across predictions."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class Dist(Term):
    """The student's probabilities need only correlate with the teacher's: over a sample's classes, and over samples.

    1 - Pearson's correlation of each sample's row (inter-class), and of each class's column of the batch (intra-class).
    A row or column whose probabilities are all equal correlates with nothing and has no gradient. The first part is a
    mean over samples; the second looks within the micro-batch, of which it needs three samples or more.
    """

    title: ClassVar[str] = "Relations of predictions"
    formula: ClassVar[str] = (
        "T² · (β · mean_B (1 - ρ(p_b, q_b)) + γ · mean_C (1 - ρ(p_c, q_c))), ρ = Pearson's correlation, "
        "p = softmax(t / T), q = softmax(s / T), p_b a row, p_c a column"
    )
    paper: ClassVar[str] = "Huang et al. 2022 (DIST), arXiv:2205.10536"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    relational: ClassVar[bool] = True

    kind: Literal["dist"] = "dist"
    beta: float = Field(default=1.0, ge=0)
    """β: weight of the relations between a sample's classes."""
    gamma: float = Field(default=1.0, ge=0)
    """γ: weight of the relations between samples within a class."""
    temperature: Temperature = 1.0
    """Softens both distributions; the authors take 1 on ImageNet and 4 on CIFAR-100. A number or a schedule above 0."""
