"""A job's teacher and transfer set: digests verified, contents held against the spec.

N = samples, A = their units (`worker.engine.data.units`): the samples themselves, or their words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from app.contract import embeddings, next_tokens, reading, tagging, teachable
from app.contract.architectures import Family, Onnx
from app.contract.job_file import RESIDENT_BYTES, JobFile, NetworkInput, TransferSetInput
from app.contract.preprocessing import Preprocessing
from app.contract.states import FailureCode
from app.contract.transfer import UNLABELLED
from worker.engine import build
from worker.engine.architectures.onnx import Network
from worker.engine.checkpoint import digest
from worker.engine.data import splits
from worker.engine.data.samples import Samples
from worker.engine.data.streamed import StreamedSamples
from worker.engine.data.units import Samplewise, Units
from worker.engine.failures import EngineFailure, Refused
from worker.engine.files import onnx_file, tensor_file
from worker.engine.networks import blueprint, key_maps, tied
from worker.engine.networks.fit import Shape, compare


@dataclass(frozen=True)
class StoredNetwork:
    """A network with the uploaded weights in it, or an uploaded model that is one."""

    network: nn.Module
    sha256: str
    parameters: int
    bytes: int
    """Size of the weights at the precision of the file."""


@dataclass(frozen=True)
class TransferSet:
    """A transfer set, resident on the job's device."""

    samples: Samples
    units: Units
    """What is predicted, and has a label or not."""
    labels_N: Tensor
    """int64, -1 = none; of words (A,)."""
    rows: dict[str, Tensor]
    """Rows of each part, int64, on the CPU."""
    sha256: str
    class_names: tuple[str, ...] = ()
    """Of classes 0, 1, ...; empty where they are only numbered."""

    @property
    def device(self) -> torch.device:
        return self.labels_N.device

    @cached_property
    def usable_rows(self) -> dict[str, Tensor]:
        """Those of the rows that have a unit that takes part."""
        return {part: self._with_units(found, known=False) for part, found in self.rows.items()}

    @cached_property
    def labelled_rows(self) -> dict[str, Tensor]:
        """Those of the rows that have one with a label."""
        return {part: self._with_units(found, known=True) for part, found in self.rows.items()}

    def _with_units(self, rows_N: Tensor, *, known: bool) -> Tensor:
        owners_U = self.units.owners(rows_N)
        if known:
            owners_U = owners_U[self._known(rows_N)]
        return rows_N[torch.bincount(owners_U, minlength=len(rows_N)) > 0]

    def _known(self, rows_N: Tensor) -> Tensor:
        return self.labels_of(rows_N.to(self.device)).cpu() != UNLABELLED

    def labels_of(self, rows_B: Tensor) -> Tensor:
        """Return the labels (U,) of the units of some samples; `rows_B` lies on the device."""
        return self.labels_N.index_select(0, self.units.of(rows_B))

    @cached_property
    def counts(self) -> dict[str, tuple[int, int]]:
        """How many units of each part have a label, and how many have none."""
        known = {part: self._known(found) for part, found in self.rows.items()}
        return {part: (int(found.sum()), int((~found).sum())) for part, found in known.items()}

    @property
    def labelled_throughout(self) -> bool:
        return not any(unlabelled for _, unlabelled in self.counts.values())

    def labels_of_samples(self, rows_B: Tensor) -> Tensor:
        """Return the labels (B,) of samples as wholes; a list of words counts as labelled."""
        if isinstance(self.units, Samplewise):
            return self.labels_of(rows_B)
        return torch.zeros_like(rows_B)

    @property
    def classes_of_samples(self) -> Tensor:
        """The class (N,) of each sample as a whole; -1 where it has none, or its words or tokens have classes."""
        if isinstance(self.units, Samplewise):
            return self.labels_N
        return self.labels_N.new_full((len(self.samples),), UNLABELLED)

    def count_labelled(self, labels_B: Tensor) -> Tensor | int:
        """Return the number of labels in a batch of them, without waiting for the device."""
        return len(labels_B) if self.labelled_throughout else (labels_B != UNLABELLED).sum()


def load_network(folder: Path, source: NetworkInput, who: str, where: torch.device) -> StoredNetwork:
    """Return a stored network (`who`: for sentences). Raises EngineFailure where it is not as announced."""
    path = folder / source.path
    sha256 = _verified(path, source.sha256, f"{who}'s weights")
    if isinstance(source.architecture, Onnx):
        return _load_onnx(path, source.architecture, sha256)
    try:
        network = build.network(source.architecture)
        expected = network.state_dict()
        tensors, _ = tensor_file.load(path)
        renamed = key_maps.rename(tensors, source.key_map)
        needed = tied.needed(network, expected, renamed.values())
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The {who} does not fit. {refusal}") from refusal
    fit = compare(_shapes(tensors), renamed, _shapes(needed))
    if problems := fit.problems():
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The {who} does not fit. {' '.join(problems)}")
    own = {renamed[name]: tensor for name, tensor in tensors.items()}
    # What has been left out is the same as something that is there.
    network.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in own.items()}, strict=False)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return StoredNetwork(network.to(where), sha256, blueprint.size(source.architecture), size)


def _load_onnx(path: Path, architecture: Onnx, sha256: str) -> StoredNetwork:
    try:
        file = onnx_file.read(path)
        network = Network(architecture, file, torch.get_num_threads())
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher cannot be run. {refusal}") from refusal
    return StoredNetwork(network, sha256, file.parameters, file.bytes)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def load_transfer_set(
    folder: Path, source: TransferSetInput, where: torch.device, resident_bytes: int = RESIDENT_BYTES
) -> TransferSet:
    """Return the transfer set on the device; its samples stay in their file where they take more than `resident_bytes`.

    Raises EngineFailure where it cannot be used.
    """
    path = folder / source.path
    sha256 = _verified(path, source.sha256, "transfer set")
    try:
        content = build.read(path, source.format, source.splits)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, str(refusal)) from refusal
    if content.problems:
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, " ".join(content.problems))
    samples = _placed(content.samples, where, resident_bytes)
    part_N = splits.parts(content.strata, content.split_N, len(samples), source.splits)
    rows = {part: torch.from_numpy(np.ascontiguousarray(found)) for part, found in splits.rows_by_part(part_N).items()}
    return TransferSet(samples, content.units, content.every_label.to(where), rows, sha256, content.class_names)


def _placed(samples: Samples, where: torch.device, resident_bytes: int) -> Samples:
    if isinstance(samples, StreamedSamples) and samples.bytes <= resident_bytes:
        samples = samples.resident()
    return samples.to(where)


def without_labels(transfer_set: TransferSet) -> TransferSet:
    """Return the set for those who learn embeddings, or next tokens: labels teach them nothing."""
    return replace(transfer_set, labels_N=torch.full_like(transfer_set.labels_N, UNLABELLED), class_names=())


def check(job: JobFile, transfer_set: TransferSet) -> None:
    """Raise EngineFailure where teacher, student and transfer set do not go together."""
    student = job.student.architecture
    teachers = [teacher.architecture for teacher in job.teachers]
    unfit = (
        embeddings.refusals(job.spec, teachers, student),
        tagging.refusals(job.spec, teachers),
        next_tokens.refusals(job.spec, *_reading(job)),
        teachable.refusals(job.spec, student.classes),
        teachable.refusals_of_rows(job.spec, len(transfer_set.rows["train"])),
    )
    for pointer, refusal in chain(*unfit):
        raise EngineFailure(FailureCode.INVALID_SPEC, f"{pointer}: {refusal}.")
    for who, architecture, preprocessing in readers(job):
        _check_reader(who, architecture, preprocessing, transfer_set.samples)
    for step in job.spec.augmentation:
        if reason := step.refuses(transfer_set.samples.kind, transfer_set.samples.shape):
            raise EngineFailure(FailureCode.INVALID_SPEC, f"{reason}.")
    if reason := job.spec.training.refuses_rows(len(transfer_set.rows["train"])):
        raise EngineFailure(FailureCode.INVALID_SPEC, f"{reason[0].upper()}{reason[1:]}.")
    largest = int(transfer_set.labels_N.max())
    if largest >= student.classes:
        text = f"The transfer set has the label {largest}; {student.classes} classes are 0 to {student.classes - 1}."
        raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)


def _check_reader(who: str, architecture: Family, preprocessing: Preprocessing | None, samples: Samples) -> None:
    seen = reading.shape_seen(preprocessing, samples.shape)
    unprepared = reading.refusal_of_samples(preprocessing, samples.kind, samples.shape)
    if reason := architecture.refuses(samples.kind, seen) or unprepared:
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The transfer set does not fit the {who}: {reason}.")
    fits = reading.refusal_of_trained if who == "teacher" else reading.refusal
    if reason := fits(architecture, preprocessing):
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} cannot read: {reason}.")


def _reading(job: JobFile) -> tuple[list[next_tokens.Reader], next_tokens.Reader]:
    *teachers, student = [(architecture, preprocessing) for _, architecture, preprocessing in readers(job)]
    return teachers, student


def readers(job: JobFile) -> list[tuple[str, Family, Preprocessing | None]]:
    """Return the teachers and, last, the student, each with the preprocessing in force."""
    student = job.student
    students = reading.of_student(student.preprocessing, job.teachers[0].preprocessing, student.architecture)
    teachers = [("teacher", teacher.architecture, teacher.preprocessing) for teacher in job.teachers]
    return [*teachers, ("student", student.architecture, students)]


def _verified(path: Path, announced: str | None, what: str) -> str:
    if not path.is_file():
        raise EngineFailure(FailureCode.ARTIFACT_CORRUPT, f"The {what} is not there: no file {path.name} in inputs.")
    found = digest(path)
    if announced is not None and found != announced:
        text = f"The {what} changed on disk: SHA-256 {found} instead of {announced}."
        raise EngineFailure(FailureCode.ARTIFACT_CORRUPT, text)
    return found
