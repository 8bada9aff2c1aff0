"""TinyBERT's distillation of transformer layers."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from app.contract.objectives import adapters
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch
from app.contract.taps import AnyLayers, Layout, Pair, Tap


class Tinybert(FeatureTerm):
    """Mean squared errors between attention scores before the softmax, and between hidden states and embeddings.

    `hidden:0` are the embeddings, so `hidden:*` is the paper's uniform strategy with its eqs. 8 and 9. Places that are
    masked do not count (in the authors' code they are 0 in both networks, and count). The paper adds layers up; as in
    all terms they are averaged here, so multiply `weight` by the number of the student's layers to have its value.
    An empty role is switched off, such as `"attention": []` for networks that compute attention in a way of their own.
    """

    title: ClassVar[str] = "TinyBERT"
    formula: ClassVar[str] = "mean_B,heads,places (A_s - A_t)² + mean_B,tokens,channels (W h_s - h_t)²"
    paper: ClassVar[str] = "Jiao et al. 2020 (TinyBERT), arXiv:1909.10351"
    branch: ClassVar[Branch] = "attention"
    reads: ClassVar[frozenset[Layout]] = frozenset({"attention", "tokens"})
    joins: ClassVar[Joins] = "adapted"

    kind: Literal["tinybert"] = "tinybert"
    attention: AnyLayers = (Pair(teacher="attention:*", student="attention:*"),)
    """Pairs of attention scores A; none: left out."""
    layers: AnyLayers = (Pair(teacher="hidden:*", student="hidden:*"),)
    """Pairs of hidden states h; none: left out."""
    heads: Literal["each", "mean"] = "each"
    """Scores head by head, for which both networks need equally many, or their mean over heads (as TextBrewer has it
    too)."""
    adapter: AdapterKind = "linear"
    """W; one for all pairs of the same two widths, as in the authors' code."""

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        if not self.attention and not self.layers:
            raise ValueError("attention and layers are both empty, so there is nothing to learn")
        return self

    def roles(self) -> Mapping[str, AnyLayers]:
        roles = {"attention": self.attention, "layers": self.layers}
        return {role: pairs for role, pairs in roles.items() if pairs}

    def layouts(self, role: str) -> frozenset[Layout]:
        return frozenset({"attention"} if role == "attention" else {"tokens"})

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        if reason := super().refuses_pair(teacher, student):
            return reason
        if teacher.layout == "tokens":
            return adapters.refuses(self.adapter, teacher, student)
        if self.heads == "mean" or teacher.channels == student.channels:
            return None
        return (
            f"'{teacher.name}' has {teacher.channels} heads and '{student.name}' {student.channels}; take heads: mean, "
            "or leave attention out by an empty list"
        )
