"""Any network, captured on its owner's machine as calls of operators."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.architectures.family import Family, Vocabulary
from app.contract.base import Contract
from app.contract.graphs.program import MASK, Program
from app.contract.graphs.tensors import MAX_VALUE_BYTES, GraphTensor, Values
from app.contract.samples import SampleKind

MAX_TENSORS = 20_000
Axis = Annotated[int, Field(ge=1, le=2**24)]
Length = Annotated[int, Field(ge=1, le=65_536)]


class ArrayInput(Contract):
    """Samples of one shape."""

    kind: Literal["array"] = "array"
    shape: Annotated[tuple[Axis, ...], Field(min_length=1, max_length=8)]
    """Of one sample, without the batch's axis."""
    dtype: Literal["float64", "float32", "float16", "bfloat16"] = "float32"
    """What the network computes in; samples are turned into it."""


class TokenInput(Contract):
    """Texts as the numbers of their tokens (batch, length), int64."""

    kind: Literal["tokens"] = "tokens"
    vocabulary: Vocabulary
    """Number of different tokens."""
    padding: int = Field(default=0, ge=0)
    """The token that stands behind a text shorter than the longest of its batch."""
    shortest: Length = 1
    """Texts are padded to at least so many tokens."""
    longest: Length | None = None
    """Texts have at most so many tokens; None for no limit."""
    mask: Literal["bool", "int64", "float32"] | None = None
    """The type of a second input (batch, length) that is 1 at tokens and 0 at padding; None where there is none."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.padding >= self.vocabulary:
            raise ValueError(f"the padding {self.padding} is not one of {self.vocabulary} tokens")
        if self.longest is not None and self.longest < self.shortest:
            raise ValueError("longest is less than shortest")
        return self


class Graph(Family):
    """Any torch.nn.Module: `stillhouse.capture` writes it down as calls of operators, under its own parameter names.

    A student comes back under these names, for `load_state_dict(strict=True)`. Nothing of the module's code runs here:
    the worker calls the listed operators one after another, and knows no others.
    """

    title: ClassVar[str] = "Captured network"
    sample_axes: ClassVar[str] = "as it was captured with; or a text"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array", "text"})

    kind: Literal["graph"] = "graph"
    input: Annotated[ArrayInput | TokenInput, Field(discriminator="kind")]
    tensors: tuple[GraphTensor, ...] = Field(max_length=MAX_TENSORS)
    """All of the state dict in its order, and constants."""
    training: Program
    """What it does in training."""
    evaluation: Program | None = None
    """What it does in evaluation; None where that is the same without dropout, with batch norms by their statistics,
    and with nothing written into buffers."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self._check_tensors()
        tensors = {tensor.name: tensor for tensor in self.tensors}
        for program in (self.training, self.in_evaluation):
            _check_program(program, tensors, masked=self.masked)
        written = [call.name for call in self.in_evaluation.calls if call.written is not None]
        if written:
            raise ValueError(f"in evaluation the call '{written[0]}' writes into a buffer: nothing may change then")
        return self

    @property
    def in_evaluation(self) -> Program:
        """What it does in evaluation, said or not."""
        return self.evaluation or self.training.evaluated()

    @property
    def masked(self) -> bool:
        """Whether it takes a mask beside its tokens."""
        return isinstance(self.input, TokenInput) and self.input.mask is not None

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        if isinstance(self.input, TokenInput):
            return None if kind == "text" else f"this network was captured with texts, and these samples are {kind}"
        if kind == "text":
            return f"this network was captured with arrays of shape {self.input.shape}, and these samples are text"
        return self.refuses_sample(shape)

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if isinstance(self.input, TokenInput) or tuple(shape) == self.input.shape:
            return None
        return f"this network was captured with samples of shape {self.input.shape}, not {tuple(shape)}"

    def shares_names(self, other: Family) -> bool:
        return isinstance(other, Graph) and [own.name for own in self.tensors] == [
            their.name for their in other.tensors
        ]

    def flops(self, shape: tuple[int, ...]) -> None:
        return None

    def size(self) -> int:
        return sum(tensor.count for tensor in self.tensors if tensor.role == "parameter" and tensor.tied_to is None)

    def embeds(self) -> int | None:
        return self.input.vocabulary if isinstance(self.input, TokenInput) else None

    def longest(self) -> int | None:
        return self.input.longest if isinstance(self.input, TokenInput) else None

    def undrawn(self) -> list[str]:
        return [tensor.name for tensor in self.tensors if tensor.start is None and tensor.tied_to is None]

    def own_sample(self) -> tuple[int, ...]:
        if isinstance(self.input, TokenInput):
            return (self.input.longest or max(self.input.shortest, 64),)
        return self.input.shape

    def _check_tensors(self) -> None:
        known: dict[str, GraphTensor] = {}
        for tensor in self.tensors:
            if tensor.name in known:
                raise ValueError(f"two tensors are called '{tensor.name}'")
            known[tensor.name] = tensor
            _check_tie(tensor, known)
        inlined = sum(tensor.bytes for tensor in self.tensors if isinstance(tensor.start, Values))
        if inlined > MAX_VALUE_BYTES:
            raise ValueError(f"values of {inlined:,} bytes lie in the description; at most {MAX_VALUE_BYTES:,} may")


def _check_tie(tensor: GraphTensor, known: dict[str, GraphTensor]) -> None:
    if tensor.tied_to is None:
        return
    other = known.get(tensor.tied_to)
    if other is None or other is tensor or other.tied_to is not None:
        raise ValueError(f"'{tensor.name}' is tied to '{tensor.tied_to}', which is not described before it")
    if (other.shape, other.dtype, other.role) != (tensor.shape, tensor.dtype, tensor.role):
        raise ValueError(f"'{tensor.name}' is tied to '{other.name}', and has another shape, dtype or role")


def _check_program(program: Program, tensors: dict[str, GraphTensor], *, masked: bool) -> None:
    for call in program.calls:
        if unknown := next((name for name in call.references("tensor") if name not in tensors), None):
            raise ValueError(f"the call '{call.name}' takes the tensor '{unknown}', which is not described")
        if not masked and MASK in call.references("value"):
            raise ValueError(f"the call '{call.name}' takes a mask, and the network's input has none")
        if call.written is not None and tensors[call.written].role != "buffer":
            role = tensors[call.written].role
            raise ValueError(f"the call '{call.name}' writes into the {role} '{call.written}': only buffers may change")
