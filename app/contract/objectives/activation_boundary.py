"""Activation boundaries."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class ActivationBoundary(AdaptedTerm):
    """Which neurons are active: features before their ReLU lie on the teacher's side of 0, by a margin.

    The paper trains on this alone first, and on soft targets then. It adds up positions and channels, the code with
    halves from deep to shallow, which amounts to this mean where stages double their channels and halve their sides,
    times 49,152 for a WRN-22-4 on 32 x 32 pixels.
    """

    title: ClassVar[str] = "Activation boundaries (AB)"
    formula: ClassVar[str] = (
        "mean_B mean_positions,channels { max(0, μ - r(h_s))² where h_t > 0, max(0, μ + r(h_s))² elsewhere }"
    )
    paper: ClassVar[str] = "Heo et al. 2019, arXiv:1811.03233"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "vector"})

    kind: Literal["activation_boundary"] = "activation_boundary"
    weight: Weight = 150.0
    """What the term's value is multiplied with; the authors have 3/1000 of a sum."""
    layers: Layers = (Pair(teacher="preact:*", student="preact:*"),)
    adapter: AdapterKind = "connector"
    """The connector r; the published code does without one (`none`) where the channels are as many."""
    margin: float = Field(default=1.0, gt=0, le=1_000)
    """μ."""
