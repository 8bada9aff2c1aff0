"""Teacher and student tried out on shapes alone, which takes no memory, before anything is trained."""

import torch
from torch import Tensor, nn

from app.contract.architectures import Family
from app.contract.job_file import JobFile
from app.contract.states import FailureCode
from app.contract.students import unstarted
from worker.engine import build
from worker.engine.data.samples import Inputs
from worker.engine.failures import EngineFailure, Refused
from worker.engine.networks import blueprint
from worker.engine.training.plan import Plan
from worker.engine.views.sight import Sight


def check_built(job: JobFile) -> None:
    """Raise EngineFailure where a network cannot be built here, or is larger than the service takes."""
    networks = [("teacher", teacher.architecture) for teacher in job.teachers]
    for who, architecture in (*networks, ("student", job.student.architecture)):
        if not architecture.trainable:
            continue  # loaded whole, and judged then
        try:
            blueprint.outline(architecture, job.max_parameters)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} cannot be built. {refusal}") from refusal
        if reason := blueprint.own_misfit(architecture):
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} does not run: {reason}.")
    if reason := unstarted(job.student.architecture, job.spec.student.start()):
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The student cannot start: {reason}.")


def check_teacher(architecture: Family, network: nn.Module, sight: Sight, plan: Plan) -> None:
    """Raise EngineFailure where a teacher cannot take the transfer set's samples."""
    if architecture.trainable:
        reason = _misfit(architecture, sight, plan, 1, training=False)
    else:
        reason = _fails(network, _batch(sight, plan, 2))
    if reason:
        raise _failure("teacher", sight, plan, reason)


def check_student(architecture: Family, sight: Sight, plan: Plan) -> None:
    """Raise EngineFailure where the student cannot take the samples in batches as the plan cuts them."""
    if architecture.predicts_tokens():
        _require_built(architecture)
    reason = _misfit(architecture, sight, plan, plan.smallest_part, training=True)
    if not reason:
        return
    if plan.smallest_part > 1 or _misfit(architecture, sight, plan, 2, training=True):
        raise _failure("student", sight, plan, reason)
    text = (
        f"The student cannot be trained on a single sample ({reason}), and a batch or micro-batch of one is what "
        f"{plan.draws} samples leave: choose another batch_size or accumulation."
    )
    raise EngineFailure(FailureCode.INVALID_SPEC, text)


def _require_built(architecture: Family) -> None:
    # Whether it looks ahead at what it is to predict shows in its values alone.
    try:
        build.network(architecture)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The student cannot be built. {refusal}") from refusal


def _misfit(architecture: Family, sight: Sight, plan: Plan, samples: int, *, training: bool) -> str | None:
    if architecture.embeds() is not None:
        return None  # a reader packs its tokens by their lengths: values, which shapes alone do not have
    return blueprint.misfit(architecture, _batch(sight, plan, samples), training=training)


def _batch(sight: Sight, plan: Plan, samples: int) -> Inputs:
    """Return a batch of so many samples, the training part's first ones again and again."""
    rows = plan.rows_N[torch.arange(samples) % len(plan.rows_N)]
    return sight.plain(rows.to(plan.device))


def _fails(black_box: nn.Module, inputs: Inputs) -> str | None:
    try:
        with torch.inference_mode():
            black_box(inputs)
    except Refused as refusal:
        return str(refusal).rstrip(".")
    return None


def _failure(who: str, sight: Sight, plan: Plan, reason: str) -> EngineFailure:
    sample = _batch(sight, plan, 1)
    shape = tuple(sample.shape[1:]) if isinstance(sample, Tensor) else "text"
    text = f"The {who} does not take the transfer set's samples, whose shape is {shape}: {reason}."
    return EngineFailure(FailureCode.INVALID_SPEC, text)
