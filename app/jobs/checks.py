"""What can only be said of a spec once its teacher and transfer set are known: do they fit together?"""

from collections.abc import Iterator

from app.contract import class_names, embeddings, next_tokens, reading, tagging, teachable
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection
from app.contract.objectives import Term
from app.contract.samples import SampleKind
from app.contract.schedules import extremes
from app.contract.spec import JobSpec
from app.contract.states import InspectionState
from app.contract.students import unstarted, untrainable
from app.contract.views import Fresh
from app.db.tables import Dataset, Model
from app.jobs import feature_checks
from app.jobs.named import Named, inspected_names, student_class_names, student_preprocessing, teacher_pointer
from app.models.registered import architecture_of, class_names_of, is_resolved, preprocessing_of


def errors(spec: JobSpec, named: Named, max_parameters: int) -> list[Problem]:
    """Return everything that would make the job fail; what is still being inspected is passed over."""
    if not all(is_resolved(model) for model, _ in named.parts()):
        return list(_rejected(spec, named))
    return [
        *_rejected(spec, named),
        *_sizes(spec, named, max_parameters),
        *_classes(spec, named),
        *_task(spec, named),
        *_terms(spec, named),
        *_reads(spec, named),
        *_exports(spec, named),
        *feature_checks.problems(spec, named, inspected(named.dataset)),
        *_fits_data(spec, named),
    ]


def warnings(spec: JobSpec, named: Named) -> list[Problem]:
    """Return what a user should know and may have meant."""
    found = inspected(named.dataset)
    return list(_advice(spec, found, *_to_learn_from(named, found))) if found else []


def _teachers(spec: JobSpec, named: Named) -> Iterator[tuple[str, Model]]:
    for place, teacher in enumerate(named.teachers):
        yield teacher_pointer(spec, place), teacher


def _student_pointer(named: Named) -> str:
    return "/student/model" if named.student else "/student/architecture"


def _rejected(spec: JobSpec, named: Named) -> Iterator[Problem]:
    subjects: list[tuple[str, str, Model | Dataset]] = [(at, "model", model) for at, model in _teachers(spec, named)]
    if named.student:
        subjects.append(("/student/model", "model", named.student))
    for pointer, what, subject in (*subjects, ("/transfer_set", "data set", named.dataset)):
        if subject.state == InspectionState.REJECTED:
            problems = (subject.inspection or {}).get("problems", [])
            why = "; ".join(problem["detail"] for problem in problems)
            yield Problem(pointer=pointer, detail=f"the {what} {subject.id} was rejected at its inspection: {why}")


def _sizes(spec: JobSpec, named: Named, max_parameters: int) -> Iterator[Problem]:
    if not named.student_architecture(spec).trainable:
        yield Problem(pointer=_student_pointer(named), detail=untrainable(named.student_architecture(spec)))
    if named.student and (reason := unstarted(named.student_architecture(spec), spec.student.start())):
        yield Problem(pointer="/student/initial", detail=reason)
    size = named.student_architecture(spec).size()
    if size is not None and size > max_parameters:
        detail = f"the student has {size:,} parameters; this service takes up to {max_parameters:,}"
        yield Problem(pointer=_student_pointer(named), detail=detail)


def _classes(spec: JobSpec, named: Named) -> Iterator[Problem]:
    if embeddings.taught_by([architecture_of(teacher) for teacher in named.teachers]):
        return  # which name no classes; whether their widths fit is for the terms to say
    classes, data = named.student_architecture(spec).classes, inspected_names(named.dataset)
    wanted = student_class_names(spec, named)
    for pointer, teacher in _teachers(spec, named):
        known = class_names_of(teacher)
        if known and data is None:
            continue  # whom it should know is not known yet
        if refusal := class_names.refusal_of_teacher(architecture_of(teacher).classes, known, classes, wanted):
            # Of one teacher the student is the one to change; of several, the one that differs.
            alone = len(named.teachers) == 1 and not named.student and not (known and wanted)
            yield Problem(pointer="/student/architecture/classes" if alone else pointer, detail=refusal)
    own = class_names_of(named.student) if named.student else ()
    if refusal := class_names.refusal_of_data(data or (), wanted, own):
        yield Problem(pointer="/transfer_set", detail=refusal)


def _exports(spec: JobSpec, named: Named) -> Iterator[Problem]:
    if spec.export.onnx and (refusal := named.student_architecture(spec).refuses_onnx()):
        yield Problem(pointer="/export/onnx", detail=refusal)


def _task(spec: JobSpec, named: Named) -> Iterator[Problem]:
    teachers = [architecture_of(teacher) for teacher in named.teachers]
    of_embeddings = embeddings.refusals(spec, teachers, named.student_architecture(spec))
    reads = [(architecture_of(teacher), preprocessing_of(teacher)) for teacher in named.teachers]
    student = named.student_architecture(spec), student_preprocessing(spec, named)
    of_tokens = next_tokens.refusals(spec, reads, student)
    for pointer, detail in (*of_embeddings, *tagging.refusals(spec, teachers), *of_tokens):
        yield Problem(pointer=pointer, detail=detail)


def _terms(spec: JobSpec, named: Named) -> Iterator[Problem]:
    for pointer, detail in teachable.refusals(spec, named.student_architecture(spec).classes):
        yield Problem(pointer=pointer, detail=detail)


def _learns_labels(named: Named) -> bool:
    teachers = [architecture_of(teacher) for teacher in named.teachers]
    return not embeddings.taught_by(teachers) and not next_tokens.taught_by(teachers)


def _to_learn_from(named: Named, found: DatasetInspection) -> tuple[int, int]:
    """Return how many labels the training part has, and how many samples without; each text says its next tokens."""
    if next_tokens.taught_by([architecture_of(teacher) for teacher in named.teachers if is_resolved(teacher)]):
        return found.splits.get("train", 0), 0
    return found.to_learn_from("train")


def _reads(spec: JobSpec, named: Named) -> Iterator[Problem]:
    in_force = student_preprocessing(spec, named)
    if refusal := reading.refusal(named.student_architecture(spec), in_force):
        owner = "" if spec.student.preprocessing or in_force is None else " (the teacher's, since the student has none)"
        yield Problem(pointer="/student/preprocessing", detail=f"the student cannot read: {refusal}{owner}")


def _batches(spec: JobSpec, rows: int) -> Iterator[Problem]:
    if not rows:
        yield Problem(pointer="/transfer_set", detail="the transfer set leaves no samples to train on")
    elif refusal := spec.training.refuses_rows(rows):
        yield Problem(pointer="/training/batch_size", detail=refusal)
    elif refusal := spec.training.refuses_devices(spec.devices, rows):
        yield Problem(pointer="/devices", detail=refusal)


def _fits_data(spec: JobSpec, named: Named) -> Iterator[Problem]:
    found = inspected(named.dataset)
    if found is None or found.sample_shape is None:
        return
    student = named.student_architecture(spec)
    yield from _takes(spec, named, found.sample_kind, found.sample_shape)
    for index, step in enumerate(spec.augmentation):
        if refusal := step.refuses(found.sample_kind, found.sample_shape):
            yield Problem(pointer=f"/augmentation/{index}", detail=refusal)
    if _learns_labels(named) and found.classes is not None and found.classes > student.classes:
        detail = (
            f"the transfer set has labels up to {found.classes - 1}, and the networks have classes 0 to "
            f"{student.classes - 1}"
        )
        yield Problem(pointer="/transfer_set", detail=detail)
    rows = found.splits.get("train", 0)
    yield from _batches(spec, rows)
    for pointer, detail in teachable.refusals_of_rows(spec, rows):
        yield Problem(pointer=pointer, detail=detail)
    yield from _labels(spec, *_to_learn_from(named, found))


def _takes(spec: JobSpec, named: Named, kind: SampleKind, shape: tuple[int, ...]) -> Iterator[Problem]:
    networks = [
        (at, at, "teacher", architecture_of(model), preprocessing_of(model)) for at, model in _teachers(spec, named)
    ]
    student = named.student_architecture(spec), student_preprocessing(spec, named)
    for at, reads_at, who, network, preprocessing in (
        *networks, (_student_pointer(named), "/student", "student", *student),
    ):  # fmt: skip
        if refusal := network.refuses(kind, reading.shape_seen(preprocessing, shape)):
            yield Problem(pointer=at, detail=f"the {who} does not fit the transfer set: {refusal}")
        elif refusal := reading.refusal_of_samples(preprocessing, kind, shape):
            yield Problem(pointer=reads_at, detail=f"the {who} does not fit the transfer set: {refusal}")


def _labels(spec: JobSpec, labelled: int, unlabelled: int) -> Iterator[Problem]:
    for pointer, terms in spec.objectives:
        active = [(index, term) for index, term in enumerate(terms) if max(extremes(term.weight)) > 0]
        if not any(term.sees(labelled, unlabelled) for _, term in active) and (labelled or unlabelled):
            detail = "every term of the objective needs labels, and no training sample of the transfer set has one"
            if labelled:
                detail = (
                    "every term of the objective looks at unlabelled samples, and all of the training part have labels"
                )
            yield Problem(pointer=f"{pointer}/{active[0][0]}", detail=detail)
    for pointer, term in spec.pointed_terms:
        if _cannot_do_without(term) and not labelled:
            detail = f"{term.title} needs labels, and no training sample of the transfer set has one"
            yield Problem(pointer=pointer, detail=detail)


def _cannot_do_without(term: Term) -> bool:
    # A pure label term merely takes no part; one that mixes labels with the teacher would do nothing of what it says.
    return term.needs >= {"labels", "teacher"}


def _advice(spec: JobSpec, found: DatasetInspection, labelled: int, unlabelled: int) -> Iterator[Problem]:
    if spec.training.early_stopping and not found.splits.get("validation"):
        detail = "the transfer set has no validation part, so early stopping never acts"
        yield Problem(pointer="/training/early_stopping", detail=detail)
    if spec.views != Fresh() and not spec.augmentation:
        yield Problem(pointer="/views", detail="without augmentation there is but one view of each sample")
    if spec.control and not labelled:
        yield Problem(pointer="/control", detail="without labels there is no student to train without the teacher")
    why = "every training sample has a label" if labelled else "there are no labels"
    for pointer, term in spec.pointed_terms:
        if not term.sees(labelled, unlabelled) and not _cannot_do_without(term):
            yield Problem(pointer=pointer, detail=f"{term.title} takes no part: {why}")


def inspected(dataset: Dataset) -> DatasetInspection | None:
    """Return what was found in a transfer set, or None while it is not known."""
    return DatasetInspection.model_validate(dataset.inspection) if dataset.inspection else None
