"""Teacher annealing."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Part, Term
from app.contract.schedules import Linear, Share


class AnnealedTarget(Term):
    """Cross-entropy to a mixture of label and teacher: it mixes targets, not losses.

    An unlabelled sample has the teacher's distribution as its whole target.
    """

    title: ClassVar[str] = "Teacher annealing"
    formula: ClassVar[str] = "mean_B CE(λ · onehot(y) + (1 - λ) · softmax(t), softmax(s))"
    paper: ClassVar[str] = "Clark et al. 2019 (BAM), arXiv:1907.04829"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "labels"})

    kind: Literal["annealed_target"] = "annealed_target"
    label_share: Share = Linear(start=0.0, end=1.0)
    """λ: the label's share of the target; the paper's rises from 0 to 1 over the training."""

    @property
    def part(self) -> Part:
        """The samples that it learns from: an unlabelled one has the teacher."""
        return self.on
