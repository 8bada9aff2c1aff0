"""Contrastive representation distillation."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair

MEMORY_BYTES = 4 * 2**30
"""The most that a term may keep in memory of the transfer set."""


class Crd(FeatureTerm):
    """Student and teacher say of the same sample what they say of no other: noise-contrastive estimation.

    Both pooled features are embedded by linear layers of the term's own, on a sphere. Each sample's embedding is held
    against remembered ones of the other network: its own, and those of `negatives` training samples drawn anew in each
    step, of other classes where it has a label. The published code gives it the weight 0.8, beside hard targets. The
    memory takes 8 bytes a training sample and dimension, and is refused above 4 GiB.
    """

    title: ClassVar[str] = "Contrastive representations (CRD)"
    formula: ClassVar[str] = (
        "-mean_B [log h(g_s, m_t) + Σ_negatives log(1 - h(g_s, m_t'))] + the same of g_t and m_s, "
        "h(u, v) = e^(u·v/τ) / (e^(u·v/τ) + M·z)"
    )
    paper: ClassVar[str] = "Tian et al. 2020, arXiv:1910.10699"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"vector", "map", "tokens"})

    kind: Literal["crd"] = "crd"
    layers: Layers = (Pair(teacher="pooled", student="pooled"),)
    dimensions: int = Field(default=128, ge=2, le=4096)
    """Of the embeddings."""
    negatives: int = Field(default=16_384, ge=1, le=262_144)
    """M, drawn with replacement."""
    temperature: float = Field(default=0.07, ge=0.01, le=10)
    """τ."""
    momentum: float = Field(default=0.5, ge=0, lt=1)
    """The share of a remembered embedding that stays when its sample comes again."""

    def kept_bytes(self, rows: int) -> int:
        return 2 * 4 * rows * self.dimensions * len(self.layers)

    def refuses_rows(self, rows: int) -> str | None:
        needed = self.kept_bytes(rows)
        if needed <= MEMORY_BYTES:
            return None
        return (
            f"{self.title} remembers {self.dimensions} numbers of each of {rows:,} training samples for both networks, "
            f"{needed:,} bytes, and {MEMORY_BYTES:,} are allowed: take fewer dimensions or samples"
        )
