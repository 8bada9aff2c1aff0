"""Variational information distillation."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Vid(AdaptedTerm):
    """How improbable the teacher's features are under a Gaussian around the student's, with a variance per channel.

    Means and variances are learnt with the student, so channels that it cannot predict weigh little. The paper adds up
    positions and channels; as in the published code they are averaged. The value may fall below 0.
    """

    title: ClassVar[str] = "Variational information distillation (VID)"
    formula: ClassVar[str] = "mean_B mean_positions,channels ½ [(μ(h_s) - h_t)² / σ² + ln σ²], σ² = softplus(α) + ε"
    paper: ClassVar[str] = "Ahn et al. 2019, arXiv:1904.05835"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})

    kind: Literal["vid"] = "vid"
    weight: Weight = 3.0
    """What the term's value is multiplied with; published code has 1 for the sum over three stages."""
    layers: Layers = (Pair(teacher="layer:*", student="layer:*"),)
    adapter: AdapterKind = "mlp"
    """The mean μ. Published code has two linear maps (the authors') or three with ReLU between (RepDistiller)."""
    initial_variance: float = Field(default=5.0, ge=0.001, le=1_000)
    """σ² before training."""
