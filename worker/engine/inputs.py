"""A job's teacher and transfer set: digests verified, contents held against the spec. N = samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from app.contract.architectures import Onnx
from app.contract.job_file import JobFile, TeacherInput, TransferSetInput
from app.contract.states import FailureCode
from app.contract.transfer import UNLABELLED
from worker.engine import blueprint, build, key_maps, onnx_file, splits, tensor_file
from worker.engine.architectures.onnx import Network
from worker.engine.checkpoint import digest
from worker.engine.failures import EngineFailure, Refused
from worker.engine.fit import Shape, compare


@dataclass(frozen=True)
class TeacherWeights:
    """A network with the uploaded weights in it, or an uploaded model that is one."""

    network: nn.Module
    sha256: str
    parameters: int
    bytes: int
    """Size of the weights at the precision of the file."""


@dataclass(frozen=True)
class TransferSet:
    """A transfer set, resident on the job's device."""

    inputs: Tensor
    """(N, ...), float32."""
    labels_N: Tensor
    """int64, -1 = none."""
    rows: dict[str, Tensor]
    """Rows of each part, int64, on the CPU."""
    labelled_rows: dict[str, Tensor]
    """Those of them that carry a label."""
    sha256: str

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return tuple(self.inputs.shape[1:])

    def count_labelled(self, rows_B: Tensor) -> Tensor | int:
        """Return the number of labelled samples in a batch, at least 1, without waiting for the device."""
        if all(len(self.rows[part]) == len(self.labelled_rows[part]) for part in self.rows):
            return len(rows_B)
        return (self.labels_N.index_select(0, rows_B) != UNLABELLED).sum().clamp(min=1)


def load_teacher(folder: Path, source: TeacherInput, where: torch.device) -> TeacherWeights:
    """Return the teacher. Raises EngineFailure where bytes or tensors are not as announced."""
    path = folder / source.path
    sha256 = _verified(path, source.sha256, "teacher's weights")
    if isinstance(source.architecture, Onnx):
        return _load_onnx(path, source.architecture, sha256)
    network = build.network(source.architecture)
    expected = network.state_dict()
    try:
        tensors, _ = tensor_file.load(path)
        renamed = key_maps.rename(tensors, source.key_map)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher does not fit. {refusal}") from refusal
    fit = compare(_shapes(tensors), renamed, _shapes(expected))
    if problems := fit.problems():
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher does not fit. {' '.join(problems)}")
    own = {renamed[name]: tensor for name, tensor in tensors.items()}
    network.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in own.items()})
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return TeacherWeights(network.to(where), sha256, blueprint.size(source.architecture), size)


def _load_onnx(path: Path, architecture: Onnx, sha256: str) -> TeacherWeights:
    try:
        file = onnx_file.read(path)
        network = Network(architecture, file, torch.get_num_threads())
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher cannot be run. {refusal}") from refusal
    return TeacherWeights(network, sha256, file.parameters, file.bytes)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def load_transfer_set(folder: Path, source: TransferSetInput, where: torch.device) -> TransferSet:
    """Return the transfer set on the device. Raises EngineFailure where it cannot be used."""
    path = folder / source.path
    sha256 = _verified(path, source.sha256, "transfer set")
    try:
        arrays = build.reader(source.format)(path, source.format)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, str(refusal)) from refusal
    if arrays.problems:
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, " ".join(arrays.problems))
    inputs = arrays.inputs.to(torch.float32).contiguous()
    labels_N = arrays.labels_N if arrays.labels_N is not None else torch.full((len(inputs),), UNLABELLED)
    part_N = arrays.split_N.numpy() if arrays.split_N is not None else splits.draw(labels_N.numpy(), source.splits)
    rows = {part: torch.from_numpy(np.ascontiguousarray(found)) for part, found in splits.rows_by_part(part_N).items()}
    labelled = {part: found[labels_N[found] != UNLABELLED] for part, found in rows.items()}
    return TransferSet(inputs.to(where), labels_N.to(where), rows, labelled, sha256)


def check(job: JobFile, transfer_set: TransferSet) -> None:
    """Raise EngineFailure where teacher, student and transfer set do not go together."""
    teacher, student = job.teacher.architecture, job.spec.student.architecture
    if teacher.classes != student.classes:
        text = f"The teacher has {teacher.classes} classes and the student {student.classes}; they must be equal."
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
    for who, architecture in (("teacher", teacher), ("student", student)):
        if reason := architecture.refuses_sample(transfer_set.sample_shape):
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The transfer set does not fit the {who}: {reason}.")
    largest = int(transfer_set.labels_N.max())
    if largest >= student.classes:
        text = f"The transfer set has the label {largest}; {student.classes} classes are 0 to {student.classes - 1}."
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)


def _verified(path: Path, announced: str | None, what: str) -> str:
    if not path.is_file():
        raise EngineFailure(FailureCode.ARTIFACT_CORRUPT, f"The {what} is not there: no file {path.name} in inputs.")
    found = digest(path)
    if announced is not None and found != announced:
        text = f"The {what} changed on disk: SHA-256 {found} instead of {announced}."
        raise EngineFailure(FailureCode.ARTIFACT_CORRUPT, text)
    return found
