"""Decoupled knowledge distillation."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class Dkd(Term):
    """Soft targets in two parts with weights of their own: how sure of the label, and how all other classes compare.

    In plain soft targets the second part counts the less the surer the teacher is. Averaged over the labelled samples;
    of a mixed sample, the values for both of its labels are mixed likewise. Two classes leave no others to compare.
    The paper warms up over the first 20 epochs: a weight of `{"kind": "constant", "value": 1, "warmup": 20}`.
    """

    title: ClassVar[str] = "Decoupled distillation"
    formula: ClassVar[str] = (
        "T² · mean_labelled (α · KL(b(t) ‖ b(s)) + β · KL(softmax(t∖y / T) ‖ softmax(s∖y / T))), "
        "b = (p_y, 1 - p_y) of softmax(· / T), ∖y = all classes but y"
    )
    paper: ClassVar[str] = "Zhao et al. 2022, arXiv:2203.08679"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "labels"})

    kind: Literal["dkd"] = "dkd"
    alpha: float = Field(default=1.0, ge=0)
    """α: weight of the label's class against all others (TCKD)."""
    beta: float = Field(default=8.0, ge=0)
    """β: weight of the other classes among themselves (NCKD); the paper takes 8 for ResNet-32x4, 0.5 on ImageNet."""
    temperature: Temperature = 4.0
    """Softens both distributions; a number or a schedule above 0."""

    def refuses_classes(self, classes: int) -> str | None:
        """Return why two classes leave it nothing to teach, or None."""
        if classes > 2:
            return None
        return f"{self.title} compares the classes beside the label, and of {classes} classes there are none to compare"
