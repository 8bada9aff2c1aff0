"""Uploaded weights held against the architecture that they are said to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from app.contract import inspection, reading
from app.contract.architectures import Onnx
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from worker.engine import blueprint, key_maps, tensor_file
from worker.engine.failures import Refused
from worker.engine.file_kinds import recognise
from worker.engine.fit import Fit, Shape, compare, listed
from worker.engine.inspection import converter
from worker.engine.inspection.black_boxes import inspect_onnx
from worker.engine.inspection.own_preprocessing import own_preprocessing, unusable

_REASONS = {
    "legacy pickle": "The file is a bare pickle, perhaps of torch.save before version 1.6: load it and torch.save its "
    "state dict again.",
    "torchscript": "The file is a TorchScript archive, which runs code when used: refused. Save model.state_dict().",
    "onnx": "The file is an ONNX model, which can only teach: register it as {kind: onnx, classes: ...}.",
    "pt2": "The file is a torch.export archive (.pt2), which runs code when loaded: refused. Save model.state_dict().",
}


@dataclass(frozen=True)
class Weights:
    """Tensors under the user's names; `ordered` where the file keeps the state dict's order."""

    format: Literal["safetensors", "pickled state dict"]
    tensors: dict[str, Tensor]
    ordered: bool
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def inspect_model(
    path: Path, subject: InspectModel, converted: Path, max_parameters: int | None = None
) -> ModelInspection:
    """Return the finding, and write a pickled state dict that fits as safetensors to `converted`."""
    if isinstance(subject.architecture, Onnx):
        return inspect_onnx(path, subject.architecture, subject.key_map, max_parameters)
    try:
        own = blueprint.outline(subject.architecture, max_parameters).state_dict()
        weights = read_weights(path)
    except Refused as refusal:
        return ModelInspection(problems=_problems(refusal.problems))
    finding = _with_sight(_judge(weights, subject, own), weights.metadata, subject)
    if not finding.problems and weights.format == "pickled state dict":
        tensor_file.write(converted, weights.tensors, {"format": "pt"})
    return finding


def read_weights(path: Path) -> Weights:
    """Return the tensors of an upload. Raises Refused."""
    kind = recognise(path)
    if kind.name == "safetensors":
        tensors, metadata = tensor_file.load(path)
        return Weights("safetensors", tensors, ordered=False, metadata=metadata)
    if kind.name == "torch":
        return Weights("pickled state dict", converter.load(path), ordered=True)
    fallback = f"The file is neither safetensors nor a pickled state dict: it looks like {kind.words}."
    raise Refused(_REASONS.get(kind.name, fallback))


def _judge(weights: Weights, subject: InspectModel, own: Mapping[str, Tensor]) -> ModelInspection:
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    problems = _broken(weights.tensors)
    try:
        key_map, matched = _key_map(weights, subject.key_map, expected)
    except Refused as refusal:
        return _finding(weights, {}, Fit([], [], []), [*refusal.problems, *problems])
    try:
        renamed = key_maps.rename(weights.tensors, key_map)
    except Refused as refusal:
        problems = refusal.problems + problems
        renamed = {name: name for name in weights.tensors}
    problems += _of_another_kind(weights.tensors, renamed, own)
    fit = compare(weights.shapes(), renamed, expected)
    finding = _finding(weights, key_map, fit, fit.problems() + problems)
    return finding.model_copy(update={"key_map_found": matched and not finding.problems})


def _key_map(
    weights: Weights, given: Mapping[str, str] | None, expected: Mapping[str, Shape]
) -> tuple[dict[str, str], bool]:
    shapes = weights.shapes()
    if given is not None:
        return dict(given), False
    if shapes == dict(expected):
        return {}, False
    found = key_maps.find(shapes, expected, ordered=weights.ordered)
    if found is not None:
        return found, True
    return key_maps.nearest(shapes, expected, ordered=weights.ordered) or {}, False


def _with_sight(finding: ModelInspection, metadata: Mapping[str, str], subject: InspectModel) -> ModelInspection:
    """Return the finding with how the network sees samples, where only the file says so, and with what is wrong there.

    A network that reads tokens and is nowhere said to get them is rejected.
    """
    given, found, aside = subject.preprocessing, None, None
    if given is None:
        found, aside = own_preprocessing(metadata, subject.architecture)
        refusal = reading.refusal(subject.architecture, found)
        words = f"The network cannot read: {refusal}. Give `preprocessing`."
    else:
        refusal = unusable(given, subject.architecture)
        words = f"{refusal}."
    problems = [*finding.problems, *(_problems([words]) if refusal else [])]
    update = {"preprocessing": found, "notices": [aside] if aside else [], "problems": problems}
    return finding.model_copy(update=update)


def _broken(tensors: Mapping[str, Tensor]) -> list[str]:
    broken = [name for name, tensor in tensors.items() if tensor.dtype in _FLOATS and not torch.isfinite(tensor).all()]
    return [f"Tensors hold NaN or infinite values: {listed(broken)}."] if broken else []


def _of_another_kind(tensors: Mapping[str, Tensor], renamed: Mapping[str, str], own: Mapping[str, Tensor]) -> list[str]:
    # Counters and indices are integers in the family too; weights never are.
    integers = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype not in _FLOATS and (renamed[name] not in own or own[renamed[name]].is_floating_point())
    ]
    return [f"Weights are floating-point numbers, and these tensors are not: {listed(integers)}."] if integers else []


_FLOATS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}


def _finding(weights: Weights, key_map: dict[str, str], fit: Fit, problems: list[str]) -> ModelInspection:
    return ModelInspection(
        format=weights.format,
        tensors=[
            inspection.Tensor(name=name, shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))
            for name, tensor in weights.tensors.items()
        ],
        parameters=sum(tensor.numel() for tensor in weights.tensors.values()),
        key_map=key_map,
        missing=fit.missing,
        unexpected=fit.unexpected,
        misshaped=fit.misshaped,
        problems=_problems(problems),
    )


def _problems(sentences: list[str]) -> list[Problem]:
    return [Problem(detail=sentence) for sentence in sentences]
