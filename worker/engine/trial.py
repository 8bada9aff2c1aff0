"""Teacher and student tried out on shapes alone, which takes no memory, before anything is trained."""

import torch
from torch import Tensor, nn

from app.contract.architectures import Family
from app.contract.job_file import JobFile
from app.contract.states import FailureCode
from worker.engine import blueprint
from worker.engine.failures import EngineFailure, Refused
from worker.engine.fit import Shape
from worker.engine.inputs import TransferSet
from worker.engine.plan import Plan


def check_built(job: JobFile) -> None:
    """Raise EngineFailure where a network cannot be built here, or is larger than the service takes."""
    for who, architecture in (("teacher", job.teacher.architecture), ("student", job.spec.student.architecture)):
        if not architecture.trainable:
            continue  # loaded whole, and judged then
        try:
            blueprint.outline(architecture, job.max_parameters)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} cannot be built. {refusal}") from refusal


def check_passes(job: JobFile, teacher: nn.Module, transfer_set: TransferSet, plan: Plan) -> None:
    """Raise EngineFailure where teacher or student cannot take the transfer set's samples as the plan gives them."""
    shape, taught = transfer_set.sample_shape, job.teacher.architecture
    if taught.trainable:
        reason = blueprint.misfit(taught, shape, 1, training=False)
    else:
        reason = _fails(teacher, transfer_set.inputs[:2])
    if reason:
        raise _failure("teacher", shape, reason)
    _check_student(job.spec.student.architecture, shape, plan)


def _check_student(student: Family, shape: Shape, plan: Plan) -> None:
    reason = blueprint.misfit(student, shape, plan.smallest_part, training=True)
    if not reason:
        return
    if plan.smallest_part > 1 or blueprint.misfit(student, shape, 2, training=True):
        raise _failure("student", shape, reason)
    text = (
        f"The student cannot be trained on a single sample ({reason}), and a batch or micro-batch of one is what "
        f"{plan.draws} samples leave: choose another batch_size or accumulation."
    )
    raise EngineFailure(FailureCode.INVALID_SPEC, text)


def _fails(black_box: nn.Module, inputs: Tensor) -> str | None:
    try:
        with torch.inference_mode():
            black_box(inputs)
    except Refused as refusal:
        return str(refusal).rstrip(".")
    return None


def _failure(who: str, shape: Shape, reason: str) -> EngineFailure:
    text = f"The {who} does not take the transfer set's samples, whose shape is {shape}: {reason}."
    return EngineFailure(FailureCode.INVALID_SPEC, text)
