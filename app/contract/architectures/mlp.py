"""Fully connected networks."""

from itertools import pairwise
from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.contract.architectures.family import Family, Width
from app.contract.taps import Tap, vector_tap


class Mlp(Family):
    """Fully connected layers. Input: any shape, flattened to `inputs` features."""

    title: ClassVar[str] = "Multi-layer perceptron"
    sample_axes: ClassVar[str] = "any shape, flattened"

    kind: Literal["mlp"] = "mlp"
    inputs: Annotated[int, Field(ge=1, le=16_777_216)]
    """Features of one sample, after flattening."""
    hidden: tuple[Width, ...] = Field(default=(), max_length=64)
    """Widths of the hidden layers; none makes it softmax regression."""
    activation: Literal["relu", "gelu", "silu", "tanh", "sigmoid"] = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout after each hidden layer's activation."""

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if prod(shape) == self.inputs:
            return None
        return (
            f"an mlp with inputs={self.inputs} takes samples of {self.inputs} values, not {prod(shape)} (shape {shape})"
        )

    def flops(self, shape: tuple[int, ...]) -> int:
        return 2 * sum(width * following for width, following in self._layers())

    def size(self) -> int:
        return sum((width + 1) * following for width, following in self._layers())

    def typical_sample(self) -> tuple[int, ...]:
        return (self.inputs,)

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap]:
        widths = [self.inputs, *self.hidden]
        hidden = [vector_tap(f"hidden:{number}", width) for number, width in enumerate(widths)]
        return [*hidden, vector_tap("pooled", widths[-1]), vector_tap("logits", self.classes)]

    def _layers(self) -> list[tuple[int, int]]:
        return list(pairwise([self.inputs, *self.hidden, self.classes]))
