"""Convolutional networks that read texts."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.contract.architectures.family import Family, Vocabulary, Width
from app.contract.samples import SampleKind
from app.contract.taps import Tap, tokens_tap, vector_tap


class Textcnn(Family):
    """Embedding, parallel convolutions of several widths over the tokens, ReLU, maximum over time, dropout, linear.

    A text shorter than a convolution counts as padded with zeros to its width.
    """

    title: ClassVar[str] = "TextCNN"
    sample_axes: ClassVar[str] = "a text"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text"})
    paper: ClassVar[str] = "Kim 2014, arXiv:1408.5882"

    kind: Literal["textcnn"] = "textcnn"
    vocabulary: Vocabulary
    """Number of different tokens."""
    embedding: Width = 128
    """Width of a token's vector."""
    filters: Width = 100
    """Feature maps of each width."""
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=16)] = (3, 4, 5)
    """Tokens that a convolution sees at once."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Before the linear layer."""

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        return None

    def flops(self, shape: tuple[int, ...]) -> int:
        length = max(shape[0], *self.widths)
        windows = sum((length - width + 1) * width for width in self.widths)
        return 2 * self.filters * (windows * self.embedding + self.classes * len(self.widths))

    def size(self) -> int:
        convolutions = sum(self.filters * (width * self.embedding + 1) for width in self.widths)
        return self.vocabulary * self.embedding + convolutions + self.classes * (self.filters * len(self.widths) + 1)

    def typical_sample(self) -> tuple[int, ...]:
        return (8,)

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap]:
        pooled = vector_tap("pooled", self.filters * len(self.widths))
        return [tokens_tap("hidden:0", None, self.embedding), pooled, vector_tap("logits", self.classes)]

    def embeds(self) -> int:
        return self.vocabulary
