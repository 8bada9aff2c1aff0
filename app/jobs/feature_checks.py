"""Whether the terms of features find in both networks what they look at, as far as the service knows those."""

from collections.abc import Iterator

from app.contract import reading
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.joining import Taps, known, refusals
from app.contract.objectives import FeatureTerm
from app.contract.spec import JobSpec
from app.db.tables import Model
from app.jobs.named import Named, student_preprocessing
from app.models.registered import architecture_of


def problems(spec: JobSpec, named: Named, found: DatasetInspection | None) -> Iterator[Problem]:
    """Yield what is wrong with each term."""
    for pointer, term in spec.pointed_terms:
        if isinstance(term, FeatureTerm) and (reason := _black_box(term, named)):
            yield Problem(pointer=pointer, detail=f"{term.title}: {reason}")
            return
    teachers = [_listed(teacher) for teacher in named.teachers]
    for number, reason in refusals(spec.terms, teachers, _student(spec, named, found)):
        pointer, term = spec.pointed_terms[number]
        yield Problem(pointer=pointer, detail=f"{term.title}: {reason}")


def _black_box(term: FeatureTerm, named: Named) -> str | None:
    if term.member < len(named.teachers) and not architecture_of(named.teachers[term.member]).trainable:
        return "the teacher is a black box (ONNX): only its outputs can be learnt from"
    return None


def _student(spec: JobSpec, named: Named, found: DatasetInspection | None) -> Taps | None:
    if named.student:
        return _listed(named.student)
    if found is None or found.sample_shape is None:
        return None
    architecture = named.student_architecture(spec)
    seen = reading.shape_seen(student_preprocessing(spec, named), found.sample_shape)
    if architecture.refuses(found.sample_kind, seen):
        return None  # which is told already
    taps = architecture.short_taps(seen)
    return None if taps is None else known(taps, whole=False)


def _listed(model: Model) -> Taps | None:
    taps = ModelInspection.model_validate(model.inspection).taps if model.inspection else None
    return None if taps is None else known(taps)
