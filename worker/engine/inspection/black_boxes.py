"""An uploaded ONNX model: looked through, loaded, and tried on noise where the shape of a sample is known."""

from pathlib import Path
from typing import Any

import torch

from app.contract.architectures import Onnx
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection, OnnxModel, Port, Tensor
from app.contract.taps import vector_tap
from worker.engine.architectures.onnx import Network
from worker.engine.failures import Refused
from worker.engine.files import onnx_file
from worker.engine.files.onnx_file import OnnxFile

_TRIED = (1, 3)
"""Batch sizes; a model with another one fixed is run at that."""


def inspect_onnx(
    path: Path, family: Onnx, key_map: dict[str, str] | None, max_parameters: int | None
) -> ModelInspection:
    """Return the finding; its problems say why the model is rejected."""
    finding = ModelInspection()
    try:
        file = onnx_file.read(path)
        finding = _stored(file)
        _check_registration(file, key_map, max_parameters)
        network = Network(family, file, threads=1)
        taps = [vector_tap("logits", family.classes)]
        finding = finding.model_copy(update={"onnx": _described(file, network), "taps": taps})
        _try_out(network)
    except Refused as refusal:
        problems = [Problem(detail=sentence) for sentence in refusal.problems]
        return finding.model_copy(update={"problems": problems})
    return finding


def _stored(file: OnnxFile) -> ModelInspection:
    tensors = [Tensor(name=name, shape=shape, dtype=kind) for name, shape, kind in file.initializers]
    return ModelInspection(format="onnx", tensors=tensors, parameters=file.parameters)


def _check_registration(file: OnnxFile, key_map: dict[str, str] | None, max_parameters: int | None) -> None:
    if key_map:
        raise Refused("An ONNX model is not loaded by parameter names: leave key_map out.")
    if max_parameters is not None and file.parameters > max_parameters:
        raise Refused(f"The model has {file.parameters:,} parameters; this service takes up to {max_parameters:,}.")


def _described(file: OnnxFile, network: Network) -> OnnxModel:
    return OnnxModel(opset=file.opset, input=_port(network.input), output=_port(network.output), batch=network.batch)


def _port(port: Any) -> Port:
    return Port(name=port.name, shape=tuple(port.shape), dtype=port.type.removeprefix("tensor(").removesuffix(")"))


def _try_out(network: Network) -> None:
    """Raise Refused where the model fails, or gives something other than finite numbers."""
    if network.sample is None:
        return
    generator = torch.Generator().manual_seed(0)
    for batch in _TRIED if network.batch is None else (network.batch,):
        logits_BC = network(torch.rand(batch, *network.sample, generator=generator))
        if not torch.isfinite(logits_BC).all():
            raise Refused("The model gives NaN or infinite outputs for noise between 0 and 1.")
