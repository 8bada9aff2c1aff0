"""Recurrent networks."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.architectures.family import Depth, Family, Vocabulary, Width
from app.contract.samples import SampleKind
from app.contract.taps import Tap, tokens_tap, vector_tap


class Lstm(Family):
    """Stacked LSTM, then a linear head on its pooled hidden states. Input: (steps, inputs), or with `vocabulary` texts.

    Of texts, every step is a token, embedded; padding takes no part.
    """

    title: ClassVar[str] = "LSTM"
    sample_axes: ClassVar[str] = "steps, inputs; or a text"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array", "text"})

    kind: Literal["lstm"] = "lstm"
    inputs: Width
    """Features of one time step; of texts, the width of the embedding."""
    hidden: Width
    """Width of the hidden state."""
    layers: Depth = 1
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout between layers (none after the last), as in torch.nn.LSTM; of texts, also before the first layer and
    before the head."""
    vocabulary: Vocabulary | None = None
    """Number of different tokens. With it the network reads texts, without it arrays."""
    bidirectional: bool = False
    """Each layer also reads backwards, with weights of its own; the hidden states of both lie side by side."""
    pooling: Literal["last", "mean", "max"] = "last"
    """What the head sees of the hidden states: where each direction ends, or their mean or maximum over the steps."""

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        if self.vocabulary is None:
            hint = " (set vocabulary to read texts)" if kind == "text" else ""
            return self.refuses_sample(shape) if kind == "array" else self._reads("array", kind) + hint
        return None if kind == "text" else self._reads("text", kind)

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if self.vocabulary is not None or (len(shape) == 2 and shape[1] == self.inputs):
            return None
        return f"an lstm with inputs={self.inputs} takes samples of shape (steps, {self.inputs}), not {shape}"

    def flops(self, shape: tuple[int, ...]) -> int:
        return 2 * (shape[0] * sum(self._cells()) + self.classes * self.hidden * self._directions)

    def size(self) -> int:
        biases = 2 * 4 * self.hidden * self.layers * self._directions
        embedded = (self.vocabulary or 0) * self.inputs
        return embedded + sum(self._cells()) + biases + self.classes * (self.hidden * self._directions + 1)

    def refuses_onnx(self) -> str | None:
        if self.vocabulary is not None:
            return "the exporter fixes how many steps an LSTM makes, and texts are of any length"
        return super().refuses_onnx()

    def typical_sample(self) -> tuple[int, ...]:
        return (8,) if self.vocabulary is not None else (8, self.inputs)

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap]:
        steps = shape[0] if self.vocabulary is None else None
        width = self.hidden * self._directions
        hidden = [tokens_tap("hidden:0", steps, self.inputs), tokens_tap("hidden:1", steps, width)]
        return [*hidden, vector_tap("pooled", width), vector_tap("logits", self.classes)]

    def embeds(self) -> int | None:
        return self.vocabulary

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _cells(self) -> list[int]:
        """Weights of each layer's four gates, in all directions."""
        widths = [self.inputs, *[self.hidden * self._directions] * (self.layers - 1)]
        return [self._directions * 4 * self.hidden * (width + self.hidden) for width in widths]

    @staticmethod
    def _reads(wanted: str, kind: str) -> str:
        return f"this lstm takes {wanted} samples, and these are {kind}"
