"""Hard targets."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term


class HardTarget(Term):
    """Cross-entropy to the labels, averaged over the labelled samples of the batch."""

    title: ClassVar[str] = "Hard targets"
    formula: ClassVar[str] = "mean_labelled CE(smooth(y, ε), softmax(s))"
    paper: ClassVar[str] = "Label smoothing: Szegedy et al. 2016, arXiv:1512.00567"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})

    kind: Literal["hard_target"] = "hard_target"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share ε of the target spread evenly over all classes."""
