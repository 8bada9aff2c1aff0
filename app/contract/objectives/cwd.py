"""Channel-wise distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Temperature, Weight
from app.contract.taps import Layers, Layout, Pair


class Cwd(AdaptedTerm):
    """Kullback-Leibler divergence between where in the map each channel is active: a distribution over positions.

    Made for dense prediction, on the last map or on the map of class scores; it works on maps of any network.
    """

    title: ClassVar[str] = "Channel-wise distillation"
    formula: ClassVar[str] = "T² · mean_B,K KL(softmax_HW(h_t / T) ‖ softmax_HW(r(h_s) / T))"
    paper: ClassVar[str] = "Shu et al. 2021, arXiv:2011.13256"
    branch: ClassVar[Branch] = "channel"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})

    kind: Literal["cwd"] = "cwd"
    weight: Weight = 50.0
    """What the term's value is multiplied with; the authors take 50 for features, 3 for class scores."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    temperature: Temperature = 4.0
    """Softens both distributions; a number or a schedule above 0."""
    adapter: AdapterKind = "auto"
    """r."""
