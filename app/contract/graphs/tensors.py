"""The tensors of a captured network, and the values that they start from."""

import zlib
from base64 import b64decode
from binascii import Error as NotBase64
from math import prod
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.contract.base import Contract

MAX_VALUE_BYTES = 16 * 2**20
"""What the values that lie in a description may take altogether, unpacked."""

Dtype = Literal["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
BYTES: dict[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
Path = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=512)]
"""Dotted, as in a state dict."""
Size = Annotated[int, Field(ge=0, le=2**40)]
Shape = Annotated[tuple[Size, ...], Field(max_length=16)]


class Filled(Contract):
    """One number everywhere."""

    kind: Literal["filled"] = "filled"
    value: float = 0.0


class Uniform(Contract):
    """Drawn evenly from -bound to bound."""

    kind: Literal["uniform"] = "uniform"
    bound: float = Field(ge=0)


class Normal(Contract):
    """Drawn from a normal distribution around 0."""

    kind: Literal["normal"] = "normal"
    std: float = Field(ge=0)
    zero_row: int | None = Field(default=None, ge=0)
    """A row that is 0: an embedding's padding."""


class Values(Contract):
    """The values themselves."""

    kind: Literal["values"] = "values"
    data: Annotated[str, StringConstraints(max_length=2 * MAX_VALUE_BYTES)]
    """Their bytes (little-endian, the last axis fastest), packed by zlib, as base64."""

    def unpacked(self, size: int) -> bytes:
        """Return the bytes, and never unpack more than `size` of them. Raises ValueError where they are not so many."""
        try:
            packed = b64decode(self.data, validate=True)
            unpacking = zlib.decompressobj()
            found = unpacking.decompress(packed, size + 1) if packed else b""
        except (NotBase64, zlib.error) as error:
            raise ValueError(f"the values are not base64 of what zlib packed: {error}") from error
        if len(found) != size or not unpacking.eof:
            least = "more than " if len(found) > size else ""
            raise ValueError(
                f"the values take {least}{min(len(found), size):,} bytes, and dtype and shape say {size:,}"
            )
        return found


Start = Annotated[Filled | Uniform | Normal | Values, Field(discriminator="kind")]


class GraphTensor(Contract):
    """A parameter or buffer under the user's own name, or a constant that no state dict holds."""

    name: Path
    shape: Shape
    dtype: Dtype = "float32"
    role: Literal["parameter", "buffer", "constant"] = "parameter"
    trained: bool = True
    """False of a parameter that training leaves as it is."""
    tied_to: Path | None = None
    """The tensor, described before, that this one is too."""
    start: Start | None = None
    """What it holds in a fresh network; None where nobody knows, so that only stored weights will do."""

    @property
    def saved(self) -> bool:
        """Whether it is part of the state dict."""
        return self.role != "constant"

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.count * BYTES[self.dtype]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.role == "constant" and not isinstance(self.start, Values):
            raise ValueError(f"the constant '{self.name}' has no values, and no file of weights holds them")
        if not self.name or ".." in f".{self.name}.":
            raise ValueError(f"'{self.name}' cannot be a tensor's name: a part of it between dots is empty")
        if isinstance(self.start, Values):
            if self.bytes > MAX_VALUE_BYTES:
                raise ValueError(f"the values of '{self.name}' would take {self.bytes:,} bytes: too many to lie here")
            self.start.unpacked(self.bytes)
        if self.role == "parameter" and self.trained and self.dtype not in _FLOATS:
            raise ValueError(f"the parameter '{self.name}' holds {self.dtype} and cannot be trained")
        return self


_FLOATS = {"float64", "float32", "float16", "bfloat16"}
