"""An uploaded Hugging Face folder: what network it is, its tokenizer, and its weights held against its config.json."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError
from torch import nn

from app.contract import reading
from app.contract.architectures import Transformers
from app.contract.errors import Problem
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from app.contract.problems import problems_of
from app.contract.registration import HuggingFace, Resolved
from worker.engine.failures import Refused
from worker.engine.files import tensor_file
from worker.engine.inspection.folder_archive import CONFIG, Folder, read_folder
from worker.engine.inspection.folder_task import embedding_of, language_model_of, task_of
from worker.engine.inspection.folder_tokenizer import tokenizer_of
from worker.engine.inspection.folder_weights import tensors_of, under_own_names
from worker.engine.inspection.models import judge, with_taps
from worker.engine.inspection.own_preprocessing import unusable
from worker.engine.inspection.weights import Weights
from worker.engine.networks import blueprint, tied
from worker.engine.networks.fit import listed

_SLACK = 64 * 2**20
_WITHOUT_NAMES = {
    "embedding": "gives embeddings and tells no classes apart",
    "causal_lm": "predicts tokens, which its tokenizer names",
}
_WIDEST = 8
"""Bytes of a value."""


def inspect_folder(
    path: Path, subject: InspectModel, converted: Path, max_parameters: int | None = None
) -> tuple[ModelInspection, Resolved | None]:
    """Return the finding and what the folder is; write weights that fit to `converted`, under the library's names."""
    try:
        folder = read_folder(path)
        resolved = _resolved(folder, subject)
        network = blueprint.outline(resolved.architecture, max_parameters)
        with TemporaryDirectory(dir=converted.parent) as scratch:
            finding, weights = _held_against(folder, resolved, network, Path(scratch))
            if finding.problems:
                return finding, None
            tensor_file.write(converted, weights.tensors, {"format": "pt"})
    except Refused as refusal:
        return ModelInspection(problems=[Problem(detail=sentence) for sentence in refusal.problems]), None
    return with_taps(finding, resolved.architecture), resolved


def _resolved(folder: Folder, subject: InspectModel) -> Resolved:
    """Return what the folder is; what was registered with it goes before what it says itself. Raises Refused."""
    assert isinstance(subject.architecture, HuggingFace)
    config = folder.table(CONFIG)
    task = task_of(config, subject.architecture)
    names: list[str] = []
    if task == "embedding":
        architecture = _transformers(config, embedding_of(folder))
    elif task == "causal_lm":
        architecture = _transformers(config, language_model_of(config))
    else:
        names = _class_names(config)
        architecture = _transformers(config, {"task": task, "classes": len(names) or _num_labels(config)})
    if task in _WITHOUT_NAMES and subject.class_names:
        raise Refused(f"The network {_WITHOUT_NAMES[task]}: leave class_names out.")
    if subject.class_names and len(subject.class_names) != architecture.classes:
        given = len(subject.class_names)
        raise Refused(f"The folder's {CONFIG} has {architecture.classes:,} classes, and {given:,} are named.")
    asked = subject.architecture.max_tokens
    preprocessing = subject.preprocessing or tokenizer_of(folder, asked, architecture.longest())
    if refusal := reading.refusal_of_trained(architecture, preprocessing):
        raise Refused(f"The network cannot read: {refusal}.")
    made_up = all(re.fullmatch(r"LABEL_\d+", name) for name in names)
    own = None if made_up else tuple(names)
    try:
        return Resolved(architecture=architecture, preprocessing=preprocessing, class_names=subject.class_names or own)
    except ValidationError as error:
        raise _refused(error) from error


def _transformers(config: dict[str, Any], fields: dict[str, Any]) -> Transformers:
    if fields["classes"] == 1:
        raise Refused(f"The folder's {CONFIG} has a single label: the network rates texts, and tells no classes apart.")
    try:
        return Transformers(config=config, **fields)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> Refused:
    return Refused(*(f"The folder's {CONFIG}: {problem.detail}." for problem in problems_of(error, {})))


def _num_labels(config: dict[str, Any]) -> int:
    found = config.get("num_labels", 2)
    if type(found) is not int:
        raise Refused(f"The folder's {CONFIG} has a num_labels that is no number.")
    return found


def _class_names(config: dict[str, Any]) -> list[str]:
    """Return the names of classes 0, 1, ..., if there are any. Raises Refused."""
    labels = config.get("id2label")
    if not isinstance(labels, dict):
        return []
    try:
        return [str(labels[str(number)]) for number in range(len(labels))]
    except KeyError as error:
        raise Refused(f"The folder's {CONFIG} has an id2label without the class {error}.") from error


def _held_against(
    folder: Folder, resolved: Resolved, network: nn.Module, scratch: Path
) -> tuple[ModelInspection, Weights]:
    own, architecture = network.state_dict(), resolved.architecture
    assert isinstance(architecture, Transformers)
    # Wider than any network stores its values, and room for tensors that are passed over.
    most = _WIDEST * sum(tensor.numel() for tensor in own.values()) + _SLACK
    found = under_own_names(tensors_of(folder, scratch, most), network)
    left_out = sorted(found.keys() - own.keys()) if architecture.gives_embeddings() else []
    found = {name: tensor for name, tensor in found.items() if name not in left_out}
    weights = Weights("hugging face folder", found, ordered=False)
    finding = judge(weights, tied.needed(network, own, found), {})
    assert resolved.preprocessing
    more = (unusable(resolved.preprocessing, architecture), _without_head(finding, architecture, network))
    problems = [*finding.problems, *(Problem(detail=f"{words}.") for words in more if words)]
    notices = [f"Left out, since embeddings do without: {listed(left_out)}."] if left_out else []
    return finding.model_copy(update={"problems": problems, "notices": notices}), weights


def _without_head(finding: ModelInspection, architecture: Transformers, network: nn.Module) -> str | None:
    body = f"{network.base_model_prefix}."
    misfits = finding.misshaped or any(name.startswith(body) for name in finding.missing)
    if not finding.missing or misfits or architecture.gives_embeddings():
        return None
    return (
        f"The folder holds a network's body without a classification head ({listed(finding.missing)}): train one first "
        f"({architecture.auto_class}.from_pretrained(folder) adds it, untrained) and upload that folder; or "
        "register this one as {kind: huggingface, task: embedding}, if it is its embeddings that you want"
    )
