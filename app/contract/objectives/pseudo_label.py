"""Pseudo labels."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Part, Term


class PseudoLabel(Term):
    """Cross-entropy to the teacher's class as if it were the label; by default on the samples that have none.

    Samples of which the teacher is less sure than `threshold` take no part; they still count in the mean (as in
    FixMatch), so a batch with few sure ones weighs little.
    """

    title: ClassVar[str] = "Pseudo labels"
    formula: ClassVar[str] = "mean_unlabelled 1(max softmax(t) ≥ threshold) · CE(argmax t, softmax(s))"
    paper: ClassVar[str] = "Lee 2013, ICML workshop; threshold: Sohn et al. 2020 (FixMatch), arXiv:2001.07685"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})

    kind: Literal["pseudo_label"] = "pseudo_label"
    on: Part = "unlabelled"
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """The probability that the teacher must give its class."""
