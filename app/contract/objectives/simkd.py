"""SimKD."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch, Term
from app.contract.taps import Layers, Layout, Pair, Tap


class Simkd(FeatureTerm):
    """The student takes over its teacher's classifier, and learns the features that this one reads; no labels.

    A linear projector brings the student's pooled features to the teacher's. With the teacher's classifier behind it,
    it is folded into the student's own (W_t·P, W_t·c + b_t) before each evaluation and at the end, so that the student
    keeps its architecture. The paper's projector, three convolutions before the pooling, would need another one.
    """

    title: ClassVar[str] = "Reused teacher classifier (SimKD)"
    formula: ClassVar[str] = "mean_B mean_channels (P·h_s + c - h_t)²; the student's classifier: W_t·(P·h_s + c) + b_t"
    paper: ClassVar[str] = "Chen et al. 2022, arXiv:2203.14001"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"vector"})
    joins: ClassVar[Joins] = "adapted"

    kind: Literal["simkd"] = "simkd"
    layers: Layers = (Pair(teacher="pooled", student="pooled"),)
    """What the two classifiers read: nothing else will do."""

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        if (teacher.name, student.name) != ("pooled", "pooled"):
            return "it takes what the classifiers read, `pooled` with `pooled`"
        return super().refuses_pair(teacher, student)

    def refuses_number(self, pairs: int) -> str | None:
        return None if pairs == 1 else f"it takes one pair of taps, and there are {pairs}"

    def refuses_beside(self, others: Sequence[Term]) -> str | None:
        idle = sorted({term.title for term in others if not isinstance(term, FeatureTerm)})
        if isinstance(next((term for term in others if isinstance(term, Simkd)), None), Simkd):
            return "a student has one classifier, and so one of these terms"
        if not idle:
            return None
        return (
            f"the student's classifier is made of the teacher's, so {', '.join(idle)} would train what is replaced: "
            "give them a stage or the main training of their own"
        )
