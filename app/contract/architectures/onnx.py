"""Networks that only answer: ONNX models."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.contract.architectures.family import Family

Axis = Annotated[int, Field(ge=1, le=16_777_216)]


class Onnx(Family):
    """An ONNX model as a teacher: a black box that answers and cannot be trained, so never a student.

    One file without external data, of standard operators only (domains ai.onnx and ai.onnx.ml), with one input of
    floating-point samples, the batch first. onnxruntime runs it on the CPU; the worker needs `stillhouse[onnx]`.
    """

    title: ClassVar[str] = "ONNX model"
    sample_axes: ClassVar[str] = "as the model has them"
    trainable: ClassVar[bool] = False
    suffix: ClassVar[str] = ".onnx"

    kind: Literal["onnx"] = "onnx"
    sample: Annotated[tuple[Axis, ...], Field(max_length=8)] | None = None
    """Shape of one sample, where the model leaves axes open; it is then tried out at its inspection."""
    output: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The output to learn from, where the model has several that could be it."""
    gives: Literal["logits", "probabilities"] = "logits"
    """What the output holds; `probabilities` for a model that ends in a softmax: their logarithms are logits."""

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if self.sample is None or self.sample == shape:
            return None
        return f"an onnx network with sample={self.sample} takes samples of that shape, not {shape}"

    def flops(self, shape: tuple[int, ...]) -> None:
        return None

    def size(self) -> None:
        return None
