"""Arrays of numbers."""

from typing import ClassVar, Literal

from app.contract.samples import SampleKind
from app.contract.transfer.format import Format


class Tensors(Format):
    """Arrays in one .safetensors or .npz file: inputs (samples first), labels (integers, -1 = none), a given split."""

    title: ClassVar[str] = "Tensors"
    holds: ClassVar[SampleKind] = "array"

    kind: Literal["tensors"] = "tensors"
    inputs: str | None = None
    """Name of the inputs' array; by default `inputs`, `x` or `X`."""
    labels: str | None = None
    """Name of the labels' array; by default `labels`, `y` or `Y` where there is one."""
    split: str | None = None
    """Name of an array with each sample's part (0 train, 1 validation, 2 test); by default `split` if there."""
