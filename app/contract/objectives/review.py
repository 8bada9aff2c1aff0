"""Knowledge review."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair


class Review(FeatureTerm):
    """Each layer of the teacher is learnt by the student's layer fused with all deeper ones.

    Fusion goes from deep to shallow, by attention (ABF); what comes out is compared at several sizes (HCL). The
    published code adds up layers; here they are averaged. As there, the pooled features are a layer of one position.
    """

    title: ClassVar[str] = "Knowledge review (ReviewKD)"
    formula: ClassVar[str] = (
        "mean_B Σ_l w_l mean (pool_l(f) - pool_l(h_t))² / Σ w, l = whole, 4, 2, 1, w = 1, ½, ¼, ⅛; f = ABF(h_s, deeper)"
    )
    paper: ClassVar[str] = "Chen et al. 2021, arXiv:2104.09044"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "vector"})

    kind: Literal["review"] = "review"
    weight: Weight = 4.0
    """What the term's value is multiplied with; the authors' 1 for the sum over four layers. They take 0.6 to 8, and
    let it grow over the first 20 epochs."""
    layers: Layers = (Pair(teacher="stage:*", student="stage:*"), Pair(teacher="pooled", student="pooled"))
    """Pairs of taps, from shallow to deep."""
    width: int = Field(default=512, ge=1, le=4_096)
    """Channels that are carried from layer to layer; never more than the student's deepest layer has."""
