"""Uploaded weights held against the architecture that they are said to be."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from app.contract import inspection, reading
from app.contract.architectures import Family, Onnx
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from app.contract.preprocessing import Preprocessing
from app.contract.registration import HuggingFace
from worker.engine.failures import Refused
from worker.engine.files import tensor_file
from worker.engine.files.tensor_file import NAMES
from worker.engine.inspection.black_boxes import inspect_onnx
from worker.engine.inspection.own_preprocessing import own_preprocessing, unusable
from worker.engine.inspection.weights import Weights, read_weights
from worker.engine.networks import blueprint, key_maps, tied
from worker.engine.networks.fit import Fit, Shape, compare, listed
from worker.engine.taps.listing import listing


def inspect_model(
    path: Path, subject: InspectModel, converted: Path, max_parameters: int | None = None
) -> ModelInspection:
    """Return the finding, and write a pickled state dict that fits as safetensors to `converted`."""
    architecture = subject.architecture
    assert not isinstance(architecture, HuggingFace)  # which `inspect_folder` looks at
    if isinstance(architecture, Onnx):
        return inspect_onnx(path, architecture, subject.key_map, max_parameters)
    try:
        network = _outlined(architecture, max_parameters)
        weights = read_weights(path)
        own = tied.needed(network, network.state_dict(), weights.tensors)
    except Refused as refusal:
        return ModelInspection(problems=_problems(refusal.problems))
    finding = _with_sight(judge(weights, own, subject.key_map), weights.metadata, architecture, subject.preprocessing)
    if not finding.problems and weights.format == "pickled state dict":
        tensor_file.write(converted, weights.tensors, {"format": "pt"})
    return with_taps(finding, architecture)


def with_taps(finding: ModelInspection, architecture: Family) -> ModelInspection:
    """Return the finding with the network's taps, unless it is rejected."""
    if finding.problems or (found := listing(architecture)) is None:
        return finding
    return finding.model_copy(update={"tap_sample": found[0], "taps": found[1]})


def _outlined(architecture: Family, max_parameters: int | None) -> nn.Module:
    network = blueprint.outline(architecture, max_parameters)
    if reason := blueprint.own_misfit(architecture):
        raise Refused(f"The network does not run: {reason}.")
    return network


def judge(weights: Weights, own: Mapping[str, Tensor], key_map: Mapping[str, str] | None) -> ModelInspection:
    """Hold tensors against those that a network needs (of its state dict, without values)."""
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    problems = _broken(weights.tensors)
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


def _with_sight(
    finding: ModelInspection, metadata: Mapping[str, str], architecture: Family, given: Preprocessing | None
) -> ModelInspection:
    """Return the finding with how the network sees samples, where only the file says so, and with what is wrong there.

    A network that reads tokens and is nowhere said to get them is rejected.
    """
    found, aside = None, None
    if given is None:
        found, aside = own_preprocessing(metadata, architecture)
        refusal = reading.refusal(architecture, found)
        words = f"The network cannot read: {refusal}. Give `preprocessing`."
    else:
        refusal = unusable(given, architecture)
        words = f"{refusal}."
    problems = [*finding.problems, *(_problems([words]) if refusal else [])]
    update = {"preprocessing": found, "notices": [aside] if aside else [], "problems": problems}
    return finding.model_copy(update=update)


def _broken(tensors: Mapping[str, Tensor]) -> list[str]:
    broken = [name for name, tensor in tensors.items() if tensor.dtype in _FLOATS and not torch.isfinite(tensor).all()]
    if broken:
        return [f"Tensors hold NaN or infinite values: {listed(broken)}."]
    wide = [name for name, tensor in tensors.items() if tensor.dtype == torch.float64]
    beyond = [name for name in wide if not torch.isfinite(tensors[name].float()).all()]
    return [f"Tensors hold values that are infinite in float32: {listed(beyond)}."] if beyond else []


def _of_another_kind(tensors: Mapping[str, Tensor], renamed: Mapping[str, str], own: Mapping[str, Tensor]) -> list[str]:
    # Counters and indices are integers in the family too; weights never are.
    integers = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype not in _FLOATS
        and (renamed[name] not in own or own[renamed[name]].is_floating_point() or tensor.dtype not in NAMES)
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
