"""What a job will need, roughly, from operation counts alone."""

from math import ceil, prod

from app.contract.architectures import Family
from app.contract.inspection import DatasetInspection
from app.contract.resources import Estimate
from app.contract.spec import JobSpec

_FLOPS_PER_SECOND = 5e9
_SECONDS_PER_STEP = 4e-4
_BYTES = 4
_RUNTIME_BYTES = 350 * 2**20
"""A Python process that has imported torch."""
_FORWARD_AND_BACKWARD = 3


def estimate(spec: JobSpec, teacher: Family, found: DatasetInspection) -> Estimate | None:
    """Return the estimate, or None while the transfer set's inputs are unknown."""
    if found.inputs is None or not found.rows:
        return None
    shape = found.inputs.shape[1:]
    student = spec.student.architecture
    rows = found.splits.get("train", found.rows)
    runs = 2 if spec.control and found.labelled_splits.get("train") else 1
    steps = ceil(rows / spec.training.batch_size) * spec.training.epochs * runs
    work = teacher.flops(shape) * found.rows
    work += _FORWARD_AND_BACKWARD * student.flops(shape) * rows * spec.training.epochs * runs
    # Weights, gradients and optimiser state, twice over for the best student; then data and soft targets.
    weights = _BYTES * (teacher.size() + 6 * student.size())
    data = _BYTES * found.rows * (prod(shape) + student.classes)
    return Estimate(
        memory_bytes=_RUNTIME_BYTES + weights + data,
        disk_bytes=_BYTES * (teacher.size() + 10 * student.size()) + data,
        seconds_on_one_core=round(work / _FLOPS_PER_SECOND + steps * _SECONDS_PER_STEP, 2),
        optimizer_steps=steps,
        teacher_parameters=teacher.size(),
        student_parameters=student.size(),
    )
