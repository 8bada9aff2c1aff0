"""Overhaul of feature distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Overhaul(AdaptedTerm):
    """Squared difference of features before their ReLU, where it tells something.

    The teacher's go no lower than a margin, the mean of a channel's values below 0; and a student whose value lies
    below a teacher's that is not positive is not asked for more. The published code derives margins from batch norms,
    which taps need not end in: here they are the means over 256 samples of the training part. It adds up positions and
    channels and halves stages from deep to shallow, which amounts to this mean where stages double their channels and
    halve their sides, times 49,152 for a WRN-28-4 on 32 x 32 pixels.
    """

    title: ClassVar[str] = "Overhaul of feature distillation (OFD)"
    formula: ClassVar[str] = "mean_B mean_positions,channels [h_s > h or h > 0] (r(h_s) - h)², h = max(h_t, m)"
    paper: ClassVar[str] = "Heo et al. 2019, arXiv:1904.01866"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "vector"})

    kind: Literal["overhaul"] = "overhaul"
    weight: Weight = 50.0
    """What the term's value is multiplied with; the authors have 1/1000 of a sum."""
    layers: Layers = (Pair(teacher="preact:*", student="preact:*"),)
    adapter: AdapterKind = "connector"
    """What is done to the student's features: r."""
