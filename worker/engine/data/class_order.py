"""Labels and teachers brought into the student's order of classes, by name. N = samples."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.contract import class_names, embeddings
from app.contract.class_names import Names
from app.contract.job_file import JobFile
from app.contract.states import FailureCode
from app.contract.transfer import UNLABELLED
from worker.engine.failures import EngineFailure
from worker.engine.inputs import TransferSet

Order = tuple[int, ...] | None
"""Where each of the student's classes stands among a teacher's; None where they are the same."""


def arranged(job: JobFile, transfer_set: TransferSet) -> tuple[TransferSet, list[Order]]:
    """Return the transfer set with labels in the student's order, and each teacher's order.

    Embeddings name none, and have no order. Raises EngineFailure where somebody does not know a class.
    """
    if embeddings.taught_by([teacher.architecture for teacher in job.teachers]):
        return transfer_set, [None for _ in job.teachers]
    own, classes = job.student.class_names, job.student.architecture.classes
    known = [teacher.class_names for teacher in job.teachers]
    wanted = class_names.learnt(classes, job.spec.student, own, transfer_set.class_names, known)
    for teacher in job.teachers:
        taught = teacher.architecture.classes
        _refuse(class_names.refusal_of_teacher(taught, teacher.class_names, classes, wanted), FailureCode.INVALID_SPEC)
    unknown = class_names.refusal_of_data(transfer_set.class_names, wanted, own)
    _refuse(unknown, FailureCode.INVALID_TRANSFER_SET)
    return _labelled(transfer_set, wanted), [_order(wanted, names) for names in known]


def _refuse(reason: str | None, code: FailureCode) -> None:
    if reason:
        raise EngineFailure(code, f"{reason[0].upper()}{reason[1:]}.")


def _order(wanted: Names, known: Sequence[str]) -> Order:
    if not (wanted and known) or wanted == tuple(known):
        return None
    return class_names.places(wanted, tuple(known))


def _labelled(transfer_set: TransferSet, wanted: Names) -> TransferSet:
    order = _order(transfer_set.class_names, wanted)
    labels_N = transfer_set.labels_N if order is None else _renumbered(transfer_set.labels_N, order)
    return replace(transfer_set, labels_N=labels_N, class_names=wanted or transfer_set.class_names)


def _renumbered(labels_N: Tensor, order: Sequence[int]) -> Tensor:
    # The last place is where -1, no label, looks itself up.
    return torch.tensor([*order, UNLABELLED], device=labels_N.device)[labels_N]
