"""Similarity distributions over a queue."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives import adapters
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Temperature
from app.contract.taps import Layers, Layout, Pair, Tap


class SimilarityDistribution(FeatureTerm):
    """KL between how similar each network's embedding of a sample is to the teacher's of it and of many others.

    The others wait in a queue, random directions at first; the newest batch takes the place of the oldest. It is kept
    in checkpoints. The paper's cross-entropy differs by a constant, the teacher's entropy. No labels are needed, and
    outputs need not be as many: an adapter makes the student's as wide as the teacher's.
    """

    title: ClassVar[str] = "Similarity distributions (SEED)"
    formula: ClassVar[str] = (
        "mean_B KL(softmax(D z_t / T_t) ‖ softmax(D z_s / T_s)), z = unit embeddings, D = z_t of the sample and a queue"
    )
    paper: ClassVar[str] = "Fang et al. 2021 (SEED), arXiv:2101.04731"
    branch: ClassVar[Branch] = "embedding"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})

    kind: Literal["similarity_distribution"] = "similarity_distribution"
    layers: Layers = (Pair(teacher="logits", student="logits"),)
    """Pairs of embeddings: what networks answer with, or such as `pooled`; maps and tokens are averaged."""
    size: int = Field(default=4_096, ge=1, le=65_536)
    """Length of the queue; more than there are samples holds some twice. The paper takes 65,536 for ImageNet."""
    teacher_temperature: Temperature = 0.01
    """T_t; a number or a schedule above 0."""
    student_temperature: Temperature = 0.2
    """T_s; a number or a schedule above 0."""
    adapter: AdapterKind = "auto"
    """Of embeddings of different widths."""

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        reason = super().refuses_pair(teacher, student)
        return reason or adapters.refuses(self.adapter, teacher.pooled(), student.pooled())
