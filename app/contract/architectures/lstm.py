"""Recurrent networks."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.architectures.family import Depth, Family, Width


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

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if len(shape) == 2 and shape[1] == self.inputs:
            return None
        return f"an lstm with inputs={self.inputs} takes samples of shape (steps, {self.inputs}), not {shape}"

    def flops(self, shape: tuple[int, ...]) -> int:
        return 2 * (shape[0] * sum(self._cells()) + self.classes * self.hidden)

    def size(self) -> int:
        biases = 2 * 4 * self.hidden * self.layers
        return sum(self._cells()) + biases + self.classes * (self.hidden + 1)

    def _cells(self) -> list[int]:
        """Weights of each layer's four gates."""
        widths = [self.inputs, *[self.hidden] * (self.layers - 1)]
        return [4 * self.hidden * (width + self.hidden) for width in widths]
