"""Margins between similarities."""

from typing import ClassVar, Literal

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair


class MarginMse(FeatureTerm):
    """Mean squared error between both networks' margins: how much more similar a sample is to one than to another.

    The paper's margins are between the scores of a relevant and an irrelevant passage for a query. Here each sample of
    the batch is a query in its turn, and every two of the others are passages; scores are similarities of embeddings.
    So only differences between similarities are learnt, not how large they are, and widths may differ. A batch of
    fewer than three samples teaches nothing.
    """

    title: ClassVar[str] = "Margins between similarities"
    formula: ClassVar[str] = "mean_i,j≠k ((S_ij - S_ik) - (T_ij - T_ik))², S, T = similarities of samples, j, k ≠ i"
    paper: ClassVar[str] = "Hofstätter et al. 2020 (Margin-MSE), arXiv:2010.02666"
    branch: ClassVar[Branch] = "embedding"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map", "tokens", "vector"})
    relational: ClassVar[bool] = True

    kind: Literal["margin_mse"] = "margin_mse"
    layers: Layers = (Pair(teacher="logits", student="logits"),)
    """Pairs of embeddings: what networks answer with, or such as `pooled`; maps are flattened, tokens averaged."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """Cosines, or the paper's dot products, with which lengths count too."""
