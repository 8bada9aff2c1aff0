"""What a job will need, roughly, from operation counts alone."""

from math import ceil, prod

from app.contract import reading
from app.contract.inspection import DatasetInspection
from app.contract.resources import Estimate
from app.contract.spec import JobSpec
from app.contract.views import Fixed
from app.jobs.checks import inspected
from app.jobs.named import Named, student_preprocessing
from app.models.registered import architecture_of, is_resolved

_FLOPS_PER_SECOND = 5e9
_SECONDS_PER_STEP = 4e-4
_BYTES = 4
_RUNTIME_BYTES = 350 * 2**20
"""A Python process that has imported torch."""
_FORWARD_AND_BACKWARD = 3


def estimate(spec: JobSpec, named: Named) -> Estimate | None:
    """Return the estimate, or None where the transfer set or a network's size is not known here."""
    if not all(is_resolved(model) for model, _ in named.parts()):
        return None
    student = named.student_architecture(spec)
    teachers = [architecture_of(teacher) for teacher in named.teachers]
    sizes = [teacher.size() for teacher in teachers]
    found, learnt = inspected(named.dataset), student.size()
    shape = _shape(found) if found else None
    if found is None or not found.rows or shape is None or learnt is None or None in sizes:
        return None
    taught = sum(size or 0 for size in sizes)
    rows = found.splits.get("train", found.rows)
    controls = int(spec.control and bool(found.labelled_splits.get("train")))
    learning = spec.student_epochs * (spec.generations + controls)
    frozen = (spec.epochs - spec.student_epochs) * spec.generations
    steps = ceil(rows / spec.training.batch(rows)) * (learning + frozen)
    peers = [sum(term.networks() for term in terms) for _, terms in spec.objectives]
    peer_epochs = sum(count * epochs for count, epochs in zip(peers, _epochs(spec), strict=True))
    passes = rows * (_FORWARD_AND_BACKWARD * (learning + spec.generations * peer_epochs) + frozen)
    looks = found.rows if not spec.augmentation else _looks(spec, rows)
    seen = reading.shape_seen(student_preprocessing(spec, named), shape)
    passes += looks * (spec.generations - 1)  # of the generations that teach
    work = sum(teacher.flops(shape) or 0 for teacher in teachers) * looks + passes * (student.flops(seen) or 0)
    # Weights, gradients and optimiser state, twice over for the best student; then data and soft targets.
    weights = _BYTES * (taught + 6 * learnt)
    # The same of peers; and what losses keep of the samples.
    kept = max(sum(term.kept_bytes(rows) for term in terms) for _, terms in spec.objectives)
    beside = _BYTES * 4 * learnt * max(peers) + kept
    data = _BYTES * found.rows * (prod(shape) + student.classes)
    return Estimate(
        memory_bytes=spec.devices * (_RUNTIME_BYTES + weights + beside + data),
        disk_bytes=_BYTES * (taught + 10 * learnt) + 2 * beside + data,
        seconds_on_one_core=round(work / _FLOPS_PER_SECOND + steps * _SECONDS_PER_STEP, 2),
        optimizer_steps=steps,
        teacher_parameters=taught,
        student_parameters=learnt,
    )


def _shape(found: DatasetInspection) -> tuple[int, ...] | None:
    # Of texts the number of words: their tokens are known only once a network reads them.
    return found.sample_shape if found.lengths is None else (ceil(found.lengths.words.mean),)


def _epochs(spec: JobSpec) -> list[int]:
    """Return the epochs of each objective, the main one last."""
    return [*(stage.epochs for stage in spec.stages), spec.training.epochs]


def _looks(spec: JobSpec, rows: int) -> int:
    """Return how many views the teacher looks at, of `rows` training samples."""
    return rows * (min(spec.views.count, spec.epochs) if isinstance(spec.views, Fixed) else spec.epochs)
