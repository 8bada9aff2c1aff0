"""Teacher and student tried out on shapes alone, which takes no memory, before anything is loaded or trained."""

from app.contract.job_file import JobFile
from app.contract.states import FailureCode
from worker.engine import blueprint
from worker.engine.failures import EngineFailure, Refused
from worker.engine.fit import Shape
from worker.engine.plan import Plan


def check_built(job: JobFile) -> None:
    """Raise EngineFailure where a network cannot be built here, or is larger than the service takes."""
    for who, architecture in (("teacher", job.teacher.architecture), ("student", job.spec.student.architecture)):
        try:
            blueprint.outline(architecture, job.max_parameters)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} cannot be built. {refusal}") from refusal


def check_passes(job: JobFile, shape: Shape, plan: Plan) -> None:
    """Raise EngineFailure where teacher or student cannot take the transfer set's samples as the plan gives them."""
    student, smallest = job.spec.student.architecture, plan.smallest_part
    if reason := blueprint.misfit(job.teacher.architecture, shape, 1, training=False):
        raise _failure("teacher", shape, reason)
    reason = blueprint.misfit(student, shape, smallest, training=True)
    if not reason:
        return
    if smallest == 1 and not blueprint.misfit(student, shape, 2, training=True):
        text = (
            f"The student cannot be trained on a single sample ({reason}), and a batch or micro-batch of one is what "
            f"{plan.draws} samples leave: choose another batch_size or accumulation."
        )
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
    raise _failure("student", shape, reason)


def _failure(who: str, shape: Shape, reason: str) -> EngineFailure:
    text = f"The {who} does not take the transfer set's samples, whose shape is {shape}: {reason}."
    return EngineFailure(FailureCode.INVALID_SPEC, text)
