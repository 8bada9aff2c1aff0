"""Guided soft targets."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Need, Term
from app.contract.schedules import Temperature


class GuidedKd(Term):
    """Soft targets of the samples alone whose label is the teacher's most probable class.

    The other labelled samples count in the mean, as 0. The published code divides by the number of right samples, of
    which a batch may have none, and which weighs a sample by the batch that it is in; where the teacher is right in a
    share a of the samples, a weight of 1 / a comes to the same size. Of a mixed sample, each label counts by its share.
    The second half of channel distillation (`channel_distillation`).
    """

    title: ClassVar[str] = "Guided soft targets"
    formula: ClassVar[str] = "T² · mean_labelled 1(argmax t = y) · KL(softmax(t / T) ‖ softmax(s / T))"
    paper: ClassVar[str] = "Zhou et al. 2020, arXiv:2006.01683"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "labels"})
    coarse: ClassVar[bool] = True

    kind: Literal["guided_kd"] = "guided_kd"
    temperature: Temperature = 1.0
    """Softens both distributions; the authors take 1. A number or a schedule above 0."""
