"""Pixel-wise distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Temperature, Weight
from app.contract.taps import Layers, Layout, Pair


class Pixelwise(AdaptedTerm):
    """Soft targets at every position: a distribution over the channels of a map, or of each token.

    Made for maps of class scores, which need no adapter; other maps have as many "classes" as channels. Of the paper's
    three losses the pixel-wise one. Its formula has KL(s ‖ t), its code the cross-entropy to the teacher, that is
    KL(t ‖ s), which this takes.
    """

    title: ClassVar[str] = "Pixel-wise soft targets"
    formula: ClassVar[str] = "T² · mean_B,HW KL(softmax_K(h_t / T) ‖ softmax_K(r(h_s) / T))"
    paper: ClassVar[str] = "Liu et al. 2019, arXiv:1903.04197"
    branch: ClassVar[Branch] = "dense"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens"})

    kind: Literal["pixelwise"] = "pixelwise"
    weight: Weight = 10.0
    """What the term's value is multiplied with; the paper takes 10."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    temperature: Temperature = 1.0
    """Softens both distributions; a number or a schedule above 0."""
    adapter: AdapterKind = "auto"
    """r."""
