"""Soft targets of standardised logits."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature, Weight


class LogitStandardized(Term):
    """Soft targets of z-scores: the student learns how the teacher's classes compare, and keeps a scale of its own.

    Mean and standard deviation are those of a sample's own logits, over all C classes as in the paper (its published
    code divides by C - 1). A sample whose logits are all equal has no z-scores and teaches nothing; nor does any with
    two classes, whose z-scores are 1 and -1 whatever the logits.
    """

    title: ClassVar[str] = "Standardised logits"
    formula: ClassVar[str] = "T² · mean_B KL(softmax(z(t) / T) ‖ softmax(z(s) / T)), z(x) = (x - mean_C x) / std_C x"
    paper: ClassVar[str] = "Sun et al. 2024, arXiv:2403.01427"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})

    kind: Literal["logit_standardized"] = "logit_standardized"
    weight: Weight = 9.0
    """What the term's value is multiplied with; the paper takes 9, beside hard targets of 0.1."""
    temperature: Temperature = 2.0
    """The paper's base temperature, in standard deviations; a number or a schedule above 0."""

    def refuses_classes(self, classes: int) -> str | None:
        """Return why two classes leave it nothing to teach, or None."""
        if classes > 2:
            return None
        return f"{self.title}: with {classes} classes z-scores are the same whatever the logits, so nothing is learnt"
