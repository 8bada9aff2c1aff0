"""Channel distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class ChannelDistillation(AdaptedTerm):
    """Mean squared error between how active each channel is: its mean over a map's rows and columns.

    The paper's early decay is a schedule of the weight, such as `{"kind": "step", "start": 24, "factor": 0.9,
    "milestones": [30, 60, 90]}`; its guided distillation of outputs is the method `guided_kd`.
    """

    title: ClassVar[str] = "Channel distillation"
    formula: ClassVar[str] = "mean_B,K (mean_HW r(h_s) - mean_HW h_t)²"
    paper: ClassVar[str] = "Zhou et al. 2020, arXiv:2006.01683"
    branch: ClassVar[Branch] = "channel"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})

    kind: Literal["channel_distillation"] = "channel_distillation"
    weight: Weight = 24.0
    """What the term's value is multiplied with; the authors add four stages up with 6 each, and this averages them."""
    layers: Layers = (Pair(teacher="stage:*", student="stage:*"),)
    adapter: AdapterKind = "auto"
    """r; the published code always has a `normalized` one, also where channels are as many. Maps of other sizes need no
    bringing together, as they are averaged."""
