"""The network families: what a user may set. `worker/engine/architectures/` holds one file for each.

Parameter names (`parameters()`) are the family's own; a model's `key_map` renames a user's to them.
"""

from itertools import pairwise
from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.contract.base import Contract

Width = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=64)]
Classes = Annotated[int, Field(ge=2, le=1_000_000)]
Shapes = dict[str, tuple[int, ...]]


class Family(Contract):
    """What every family has in common."""

    title: ClassVar[str]
    sample_axes: ClassVar[str]
    """The axes of one input sample, in words."""

    classes: Classes
    """Width of the output: the number of classes."""

    def parameters(self) -> Shapes:
        """Return each parameter's name and shape, in the order in which the network applies them."""
        raise NotImplementedError

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        """Return why a sample of this shape (no batch axis) does not fit, or None."""
        raise NotImplementedError

    def flops(self, shape: tuple[int, ...]) -> int:
        """Return the operations of one sample's forward pass: matrix products only, a multiply-add counts 2."""
        raise NotImplementedError

    def size(self) -> int:
        """Return the number of parameters."""
        return sum(prod(shape) for shape in self.parameters().values())


class Lstm(Family):
    """Stacked LSTM, then a linear head on the last step's hidden state. Input: (steps, inputs)."""

    title: ClassVar[str] = "LSTM"
    sample_axes: ClassVar[str] = "steps, inputs"

    kind: Literal["lstm"] = "lstm"
    inputs: Width
    """Features of one time step."""
    hidden: Width
    """Width of the hidden state."""
    layers: Depth = 1
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout between layers (none after the last), as in torch.nn.LSTM."""

    def parameters(self) -> Shapes:
        shapes: Shapes = {}
        for layer in range(self.layers):
            width = self.inputs if layer == 0 else self.hidden
            shapes[f"lstm.weight_ih_l{layer}"] = (4 * self.hidden, width)
            shapes[f"lstm.weight_hh_l{layer}"] = (4 * self.hidden, self.hidden)
            shapes[f"lstm.bias_ih_l{layer}"] = (4 * self.hidden,)
            shapes[f"lstm.bias_hh_l{layer}"] = (4 * self.hidden,)
        return shapes | {"head.weight": (self.classes, self.hidden), "head.bias": (self.classes,)}

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if len(shape) == 2 and shape[1] == self.inputs:
            return None
        return f"an lstm with inputs={self.inputs} takes samples of shape (steps, {self.inputs}), not {shape}"

    def flops(self, shape: tuple[int, ...]) -> int:
        cells = sum(
            4 * self.hidden * (self.hidden + (self.hidden if layer else self.inputs)) for layer in range(self.layers)
        )
        return 2 * (shape[0] * cells + self.classes * self.hidden)


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

    def _widths(self) -> list[int]:
        return [self.inputs, *self.hidden, self.classes]

    def parameters(self) -> Shapes:
        shapes: Shapes = {}
        widths = self._widths()
        for layer, (width, following) in enumerate(pairwise(widths)):
            shapes |= {f"layers.{layer}.weight": (following, width), f"layers.{layer}.bias": (following,)}
        return shapes

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if prod(shape) == self.inputs:
            return None
        return (
            f"an mlp with inputs={self.inputs} takes samples of {self.inputs} values, not {prod(shape)} (shape {shape})"
        )

    def flops(self, shape: tuple[int, ...]) -> int:
        widths = self._widths()
        return 2 * sum(width * following for width, following in pairwise(widths))


Architecture = Annotated[Lstm | Mlp, Field(discriminator="kind")]
FAMILIES: tuple[type[Family], ...] = (Lstm, Mlp)
