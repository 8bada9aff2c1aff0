"""What a spec names, as rows: teachers, student, transfer set."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract import class_names, reading
from app.contract.architectures import Family
from app.contract.class_names import Names
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection
from app.contract.preprocessing import Preprocessing
from app.contract.spec import JobSpec
from app.contract.teachers import members_of
from app.datasets.repository import DatasetRepository
from app.db.tables import Dataset, Model
from app.jobs.repository import STUDENT, TEACHER
from app.models.registered import architecture_of, class_names_of, key_map_of, preprocessing_of
from app.models.repository import ModelRepository


@dataclass(frozen=True)
class Named:
    """A job's cast."""

    teachers: tuple[Model, ...]
    """In the order of the spec."""
    student: Model | None
    """None where the spec describes the student by its architecture."""
    dataset: Dataset

    def student_architecture(self, spec: JobSpec) -> Family:
        """Return the architecture of the network to be trained."""
        if self.student:
            return architecture_of(self.student)
        assert spec.student.architecture  # the contract wants one or the other
        return spec.student.architecture

    def parts(self) -> Iterator[tuple[Model, str]]:
        """Yield each model with the part it plays."""
        for teacher in self.teachers:
            yield teacher, TEACHER
        if self.student:
            yield self.student, STUDENT


def student_key_map(spec: JobSpec, named: Named) -> dict[str, str]:
    """Return the names under which the student comes back: the spec's, its model's, or a teacher's of its family."""
    if spec.student.key_map is not None:
        return spec.student.key_map
    if named.student:
        return key_map_of(named.student)
    student = named.student_architecture(spec)
    alike = [teacher for teacher in named.teachers if student.shares_names(architecture_of(teacher))]
    return key_map_of(alike[0]) if alike else {}


def student_preprocessing(spec: JobSpec, named: Named) -> Preprocessing | None:
    """Return how the student sees samples: as the spec says, or its model, or its first teacher, or by default."""
    given = spec.student.preprocessing or (preprocessing_of(named.student) if named.student else None)
    return reading.of_student(given, preprocessing_of(named.teachers[0]), named.student_architecture(spec))


def student_class_names(spec: JobSpec, named: Named) -> Names:
    """Return what the student's outputs stand for; empty where nobody names it, or it is not known yet."""
    own = class_names_of(named.student) if named.student else ()
    known = [class_names_of(teacher) for teacher in named.teachers]
    classes = named.student_architecture(spec).classes
    return class_names.learnt(classes, spec.student, own, inspected_names(named.dataset) or (), known)


def inspected_names(dataset: Dataset) -> Names | None:
    """Return the names of a transfer set's classes; None where they are not, or not all, known here."""
    if dataset.inspection is None:
        return None
    found = DatasetInspection.model_validate(dataset.inspection)
    names = tuple(found.class_names)
    return names if len(names) in {0, found.classes} else None


def teacher_pointer(spec: JobSpec, place: int) -> str:
    """Return where the spec names its teacher number `place`."""
    return "/teacher" if isinstance(spec.teacher, str) else f"/teacher/members/{place}/model"


async def find(session: AsyncSession, tenant: str, spec: JobSpec) -> tuple[Named | None, list[Problem]]:
    """Return what the spec names, or a problem for each thing that is not there."""
    models, missing = ModelRepository(session), []
    teachers = []
    for place, member in enumerate(members_of(spec.teacher)):
        teacher = await models.get(tenant, member.model)
        teachers.append(teacher)
        if teacher is None:
            missing.append(Problem(pointer=teacher_pointer(spec, place), detail=f"there is no model {member.model}"))
    student = await models.get(tenant, spec.student.model) if spec.student.model else None
    if spec.student.model and student is None:
        missing.append(Problem(pointer="/student/model", detail=f"there is no model {spec.student.model}"))
    dataset = await DatasetRepository(session).get(tenant, spec.transfer_set)
    if dataset is None:
        missing.append(Problem(pointer="/transfer_set", detail=f"there is no data set {spec.transfer_set}"))
    if missing or dataset is None:
        return None, missing
    return Named(tuple(teacher for teacher in teachers if teacher), student, dataset), []
