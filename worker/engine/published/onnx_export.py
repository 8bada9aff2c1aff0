"""The student as ONNX, held against torch on real samples before anybody gets it. B = batch."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from app.contract.report import OnnxExport
from app.contract.states import FailureCode
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.failures import EngineFailure

TOLERANCE = 1e-4
"""Of the largest logit, or of 1 where that is larger."""


class _Padded(Tokens):
    """Tokens of which a trace must think that there may be padding."""

    @property
    def padded(self) -> bool:
        return True


class _Reader(nn.Module):
    """A network that reads, as a function of two arrays."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        logits_BC: Tensor = self.network(_Padded(ids, mask, mask.sum(1)))
        return logits_BC


def export(network: nn.Module, inputs: Inputs) -> bytes:
    """Return the ONNX model of a network, for any batch (and of texts any length).

    `inputs` are real ones, two samples at least. Raises EngineFailure.
    """
    if isinstance(inputs, Tokens) and inputs.heads_A is not None:
        text = "The student cannot be exported as ONNX: it answers for words, and no input tells where they begin."
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
    arguments, names, axes = _arguments(inputs)
    traced = _Reader(network) if isinstance(inputs, Tokens) else network
    program = _traced(traced.eval(), arguments, names, axes)
    for port in program.model.graph.inputs:
        if fixed := [
            size for size in port.shape.dims[: len(_arguments(inputs)[2][port.name])] if isinstance(size, int)
        ]:
            text = f"The student cannot be exported as ONNX: the exporter fixes {port.name} at a size of {fixed[0]}."
            raise EngineFailure(FailureCode.INVALID_SPEC, text)
    for node in program.model.graph:
        node.metadata_props.clear()  # where in which of the worker's files it was made
    content: bytes = program.model_proto.SerializeToString(deterministic=True)
    return content


def exported(network: nn.Module, inputs: Inputs) -> tuple[bytes, OnnxExport]:
    """Return the ONNX model and how far it is from torch."""
    content = export(network, inputs)
    apart, largest = difference(content, network, inputs)
    tolerance = TOLERANCE * max(1.0, largest)
    held = OnnxExport(samples=len(inputs), max_difference=apart, tolerance=tolerance, published=apart <= tolerance)
    return content, held


def difference(content: bytes, network: nn.Module, inputs: Inputs) -> tuple[float, float]:
    """Return onnxruntime's largest difference from torch, on one input and on all, and torch's largest logit."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = largest = 0.0
    arguments, names, _ = _arguments(inputs)
    for rows in (slice(0, 1), slice(None)):
        some = [argument[rows] for argument in arguments]
        fed = {name: value.cpu().numpy() for name, value in zip(names, some, strict=True)}
        [answered] = session.run(None, fed)
        with torch.inference_mode():
            module = _Reader(network) if isinstance(inputs, Tokens) else network
            expected = module.eval()(*some)
        found = max(found, float((torch.from_numpy(answered) - expected.cpu()).abs().max()))
        largest = max(largest, float(expected.abs().max()))
    return found, largest


def _arguments(inputs: Inputs) -> tuple[tuple[Tensor, ...], list[str], dict[str, Any]]:
    batch = torch.export.Dim("batch")
    if isinstance(inputs, Tokens):
        axes = {0: batch, 1: torch.export.Dim("tokens")}
        return (inputs.ids_BL, inputs.mask_BL), ["ids", "mask"], {"ids": axes, "mask": axes}
    return (inputs,), ["input"], {"input": {0: batch}}


def _traced(network: nn.Module, arguments: tuple[Tensor, ...], names: list[str], axes: dict[str, Any]) -> Any:
    try:
        import onnxruntime  # noqa: F401, PLC0415 - an extra that most jobs do without
        import onnxscript  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        text = "The job asks for ONNX, and this worker lacks the libraries: install stillhouse[onnx]."
        raise EngineFailure(FailureCode.EXPORT_UNAVAILABLE, text) from error
    shapes = tuple(axes.values())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            return torch.onnx.export(
                network, arguments, dynamo=True, input_names=names, output_names=["logits"], dynamic_shapes=shapes,
                verbose=False,
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        text = f"The student cannot be exported as ONNX: {' '.join(str(error).split())[:500]}"
        raise EngineFailure(FailureCode.INVALID_SPEC, text) from error
