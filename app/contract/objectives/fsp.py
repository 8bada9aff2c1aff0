"""Flow of solution procedure."""

from typing import ClassVar, Literal

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Fsp(AdaptedTerm):
    """How channels of one layer go with those of the next: squared difference of the matrices of their products.

    There is a matrix for each two pairs of taps that follow one another, and it counts by the weight of the later one.
    Paper and common code disagree: `code` takes the mean of the squares, and averages the larger map to the size of the
    smaller; `paper` adds squares up, and takes the maximum.
    """

    title: ClassVar[str] = "Flow of solution procedure (FSP)"
    formula: ClassVar[str] = "G = mean_positions h¹ h²ᵀ; code: mean_B,entries (G_s - G_t)²; paper: mean_B |G_s - G_t|²"
    paper: ClassVar[str] = "Yim et al. 2017, A Gift from Knowledge Distillation, CVPR 2017"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    fewest: ClassVar[int] = 2

    kind: Literal["fsp"] = "fsp"
    weight: Weight = 100.0
    """What the term's value is multiplied with; RepDistiller has 50 for the sum over two matrices."""
    layers: Layers = (Pair(teacher="stage:*", student="stage:*"),)
    """Pairs of taps, from shallow to deep."""
    adapter: AdapterKind = "auto"
    """What gives the student as many channels as the teacher has; the paper's students have them."""
    formulation: Literal["code", "paper"] = "code"
    """Which of the two formulas."""
