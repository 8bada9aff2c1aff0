"""What every network family has in common."""

from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.base import Contract
from app.contract.samples import SampleKind
from app.contract.taps import Tap

Width = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=64)]
Vocabulary = Annotated[int, Field(ge=3, le=2_000_000)]
_ONNX_BYTES = 2**31 - 2**20
Classes = Annotated[int, Field(ge=2, le=1_000_000)]


class Family(Contract):
    """A kind of network. How many values it holds and what it costs is said here without torch, where that can be."""

    title: ClassVar[str]
    sample_axes: ClassVar[str]
    """The axes of one input sample, in words."""
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array"})
    """The samples that it can look at; who takes arrays takes pictures too, where the shape fits."""
    trainable: ClassVar[bool] = True
    """Whether a student can be of it. Of one that cannot, the uploaded file is the whole network."""
    suffix: ClassVar[str] = ".safetensors"
    """How the file of its weights is named in a job's directory."""
    channels_last: ClassVar[bool] = False
    """Whether it trains with channels last in memory, which convolutions are fastest with; only rounding changes. Not
    for networks of others, which may look at memory as it lies (`view`)."""

    classes: Classes
    """Width of the output: the number of classes."""

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        """Return why samples of this kind and shape (no batch axis) do not fit, or None."""
        if kind not in self.takes and not (kind == "image" and "array" in self.takes):
            return f"{self.title} takes {' or '.join(sorted(self.takes))} samples, and these are {kind}"
        return self.refuses_sample(shape)

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        """Return why a sample of this shape (no batch axis) does not fit, or None."""
        raise NotImplementedError

    def shares_names(self, other: "Family") -> bool:
        """Return whether a key map for networks of `other` suits this one too."""
        return type(self) is type(other)

    def flops(self, shape: tuple[int, ...]) -> int | None:
        """Return the operations of one sample's forward pass: matrix products only, a multiply-add counts 2.

        Of texts, `shape` is (tokens,): what a network does depends on it. None where only the network itself can tell.
        """
        raise NotImplementedError

    def gives_embeddings(self) -> bool:
        """Return whether it answers with embeddings, of which `classes` is the width, and tells no classes apart."""
        return False

    def tags_words(self) -> bool:
        """Return whether it answers for each word of a list, and not for the whole sample."""
        return False

    def predicts_tokens(self) -> bool:
        """Return whether it answers for each token of a text with what the next one is; `classes` are the tokens."""
        return False

    def embeds(self) -> int | None:
        """Return how many different tokens it knows; None where it does not read tokens."""
        return None

    def longest(self) -> int | None:
        """Return how many tokens a text may have at most; None where there is no limit."""
        return None

    def refuses_onnx(self) -> str | None:
        """Return why a student cannot be exported as ONNX, or None; some only the exporter can tell."""
        size = self.size()
        if size is not None and 4 * size >= _ONNX_BYTES:
            return f"an ONNX file holds up to 2 GiB, and the student has {4 * size:,} bytes"
        return None

    def size(self) -> int | None:
        """Return the number of trained parameters; None where only the network itself can tell."""
        raise NotImplementedError

    def undrawn(self) -> list[str]:
        """Return the tensors for which nobody knows how they are drawn anew: they start from stored values only."""
        return []

    def typical_sample(self) -> tuple[int, ...] | None:
        """Return the shape of a sample that it could take, for a look at what becomes of one; of texts (tokens,)."""
        return self.own_sample()

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap] | None:
        """Return the taps with short names, for samples of this shape; None where only the network itself can tell."""
        return None

    def own_sample(self) -> tuple[int, ...] | None:
        """Return the shape of a sample that it takes, where it says one; of texts (tokens,)."""
        return None
