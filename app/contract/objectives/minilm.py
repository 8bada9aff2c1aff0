"""MiniLM's distillation of self-attention relations."""

from collections.abc import Mapping
from math import gcd
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch
from app.contract.taps import Layers, Layout, Pair, Tap

_USUAL = 48


class Minilm(FeatureTerm):
    """KL between how each token relates to all others, in the last layer, averaged over heads and tokens.

    Version 2 relates queries to queries, keys to keys and values to values, each network's heads joined and cut into
    `relation_heads`, so that heads and widths may differ. Version 1 compares the attention of each head, and relates
    values to values; it needs equally many heads. Of a large teacher version 2 takes one of its upper middle layers
    (the 21st of 24): `layers` says which.
    """

    title: ClassVar[str] = "MiniLM"
    formula: ClassVar[str] = (
        "R(x) = softmax(x·xᵀ / √d); 2: Σ_x∈q,k,v mean_B,heads,tokens KL(R(x_t) ‖ R(x_s)); "
        "1: mean KL(A_t ‖ A_s) + mean KL(R(v_t) ‖ R(v_s))"
    )
    paper: ClassVar[str] = "Wang et al. 2021 (MiniLMv2), arXiv:2012.15828; version 1: 2020, arXiv:2002.10957"
    branch: ClassVar[Branch] = "attention"
    reads: ClassVar[frozenset[Layout]] = frozenset({"attention", "qkv"})
    joins: ClassVar[Joins] = "resized"

    kind: Literal["minilm"] = "minilm"
    version: Literal[1, 2] = 2
    """Which of the two papers."""
    layers: Layers = (Pair(teacher="qkv:-1", student="qkv:-1"),)
    """Pairs of queries, keys and values."""
    attention: Layers = (Pair(teacher="attention:-1", student="attention:-1"),)
    """Pairs of attention scores, of version 1 only."""
    relation_heads: int | None = Field(default=None, ge=1, le=1024)
    """Of version 2: into how many heads queries, keys and values are cut; the authors take 48 for 12 layers of 768, and
    64 for 24 of 1024. By default the most, up to 48, that both networks' widths can be cut into."""

    @model_validator(mode="after")
    def _of_its_version(self) -> Self:
        if self.version == 1 and self.relation_heads is not None:
            raise ValueError("relation_heads are of version 2; version 1 takes the networks' own heads")
        return self

    def roles(self) -> Mapping[str, Layers]:
        return {"layers": self.layers} | ({"attention": self.attention} if self.version == 1 else {})

    def layouts(self, role: str) -> frozenset[Layout]:
        return frozenset({"attention"} if role == "attention" else {"qkv"})

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        if reason := super().refuses_pair(teacher, student):
            return reason
        if self.version == 2:
            return self._uncut(teacher) or self._uncut(student)
        heads = [_heads(tap) for tap in (teacher, student)]
        if heads[0] == heads[1]:
            return None
        return f"'{teacher.name}' has {heads[0]} heads and '{student.name}' {heads[1]}; version 2 takes different ones"

    def cut(self, teacher: Tap, student: Tap) -> int:
        """Return the number of relation heads for two taps of queries, keys and values."""
        both = gcd(_width(teacher), _width(student))
        return self.relation_heads or max(heads for heads in range(1, _USUAL + 1) if both % heads == 0)

    def _uncut(self, tap: Tap) -> str | None:
        if self.relation_heads is None or _width(tap) % self.relation_heads == 0:
            return None
        return f"'{tap.name}' has {_width(tap)} channels, which cannot be cut into {self.relation_heads} relation heads"


def _heads(tap: Tap) -> int:
    heads = tap.shape[0 if tap.layout == "attention" else 1]
    assert heads is not None
    return heads


def _width(tap: Tap) -> int:
    channels = tap.shape[3]
    assert channels is not None
    return _heads(tap) * channels
