"""Uploaded weights held against the architecture that they are said to be."""

from collections.abc import Mapping
<<<<<<< HEAD
from dataclasses import dataclass, field
=======
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)
from pathlib import Path

import torch
from torch import Tensor

<<<<<<< HEAD
from app.contract import inspection, reading
from app.contract.architectures import Onnx
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from worker.engine import blueprint, key_maps, tensor_file
=======
from app.contract import inspection
from app.contract.architectures import Family, Onnx
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from app.contract.preprocessing import Preprocess
from app.contract.registration import HuggingFace
from worker.engine import blueprint, build, key_maps, tensor_file
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)
from worker.engine.failures import Refused
from worker.engine.fit import Fit, Shape, compare, listed
from worker.engine.inspection.black_boxes import inspect_onnx
<<<<<<< HEAD
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
=======
from worker.engine.inspection.weights import Weights, read_weights
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)


def inspect_model(
    path: Path, subject: InspectModel, converted: Path, max_parameters: int | None = None
) -> ModelInspection:
    """Return the finding, and write a pickled state dict that fits as safetensors to `converted`."""
    architecture = subject.architecture
    assert not isinstance(architecture, HuggingFace)  # which `inspect_folder` looks at
    if isinstance(architecture, Onnx):
        return inspect_onnx(path, architecture, subject.key_map, max_parameters)
    try:
        own = blueprint.outline(architecture, max_parameters).state_dict()
        weights = read_weights(path)
    except Refused as refusal:
        return ModelInspection(problems=_problems(refusal.problems))
<<<<<<< HEAD
    finding = _with_sight(_judge(weights, subject, own), weights.metadata, subject)
=======
    finding = judge(weights, own, subject.key_map, unreadable(architecture, subject.preprocessing))
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)
    if not finding.problems and weights.format == "pickled state dict":
        tensor_file.write(converted, weights.tensors, {"format": "pt"})
    return finding


<<<<<<< HEAD
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
=======
def judge(
    weights: Weights, own: Mapping[str, Tensor], key_map: Mapping[str, str] | None, problems: list[str]
) -> ModelInspection:
    """Hold tensors against a network's own (its state dict, which needs no values); `problems`: found already."""
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    problems = _broken(weights.tensors) + problems
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)
    try:
        in_force, matched = _key_map(weights, key_map, expected)
    except Refused as refusal:
        return _finding(weights, {}, Fit([], [], []), [*refusal.problems, *problems])
    try:
        renamed = key_maps.rename(weights.tensors, in_force)
    except Refused as refusal:
        problems = refusal.problems + problems
        renamed = {name: name for name in weights.tensors}
    problems += _of_another_kind(weights.tensors, renamed, own)
    fit = compare(weights.shapes(), renamed, expected)
    finding = _finding(weights, in_force, fit, fit.problems() + problems)
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


<<<<<<< HEAD
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
=======
def unreadable(architecture: Family, preprocessing: Preprocess | None) -> list[str]:
    """Return why a network cannot read with a preprocessing of texts."""
    if preprocessing is None or "text" not in preprocessing.takes:
        return []
    try:
        tokens = build.encoder(preprocessing).size
    except Refused as refusal:
        return refusal.problems
    embedded = architecture.embeds()
    if embedded is not None and tokens > embedded:
        return [f"The preprocessing has {tokens:,} tokens, and the architecture embeds {embedded:,}."]
    return []
>>>>>>> dc03bb5 (Inspect Hugging Face folders as archives: config, shards, tokenizer)


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
