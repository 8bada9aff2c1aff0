"""Classes go by their names: what is told before any training."""

from typing import Any

import pytest

from app.contract.inspection import DatasetInspection, ModelInspection, Tensor
from tests.api.conftest import STUDENT, TEACHER, House

NAMES = ["ant", "bee", "cat"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what is tried does not reach it, or is the same on both."""
    return sqlite_url


def spec(house: House, teacher: dict[str, Any], data: list[str]) -> dict[str, Any]:
    model = house.register("models", **{"architecture": TEACHER, **teacher})
    house.inspect(ModelInspection(parameters=67))
    dataset = house.register("datasets")
    house.inspect(
        DatasetInspection(
            rows=10,
            inputs=Tensor(name="x", shape=(10, 4), dtype="float32"),
            labelled=10,
            classes=len(data),
            class_names=data,
            splits={"train": 9, "validation": 1, "test": 0},
            labelled_splits={"train": 9, "validation": 1, "test": 0},
        )
    )
    return {"teacher": model["id"], "student": STUDENT, "transfer_set": dataset["id"]}


FIVE = {"architecture": {**TEACHER, "classes": 5}, "class_names": ["dog", "cat", "elk", "ant", "bee"]}


@pytest.mark.parametrize(
    ("teacher", "data", "pointer", "words"),
    [
        ({"class_names": ["cat", "ant", "bee"]}, NAMES, None, ""),
        (FIVE, NAMES, None, ""),
        ({"class_names": ["cat", "ant", "bees"]}, NAMES, "/teacher", "know the class 'bee' (the nearest that it knows"),
        ({"class_names": ["x", "y", "z"]}, NAMES, "/teacher", "does not know the classes 'ant', 'bee', 'cat'"),
        ({"class_names": NAMES}, ["ant", "cow"], "/transfer_set", "the teacher does not know the class 'cow'"),
        ({**FIVE, "class_names": None}, NAMES, "/student/architecture/classes", "5 classes apart and the student 3"),
    ],
)
def test_a_teacher_is_held_against_the_names(
    house: House, teacher: dict[str, Any], data: list[str], pointer: str | None, words: str
) -> None:
    checked = house.client.post("/v1/jobs/validate", json=spec(house, teacher, data)).json()
    found = {error["pointer"]: error["detail"] for error in checked["errors"]}
    assert list(found) == ([pointer] if pointer else [])
    assert words in found.get(pointer, "")


@pytest.mark.parametrize(
    ("names", "words"),
    [(["ant", "bee"], "2 names for the architecture's 3 classes"), (["ant", "ant", "bee"], "must differ")],
)
def test_names_are_as_many_as_classes(house: House, names: list[str], words: str) -> None:
    body = {"file": house.upload().json()["id"], "architecture": TEACHER, "class_names": names}
    answer = house.client.post("/v1/models", json=body)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == "/class_names"
    assert words in problem["detail"]


def test_a_jobs_student_knows_what_its_outputs_stand_for(house: House) -> None:
    asked = spec(house, {"class_names": ["cat", "ant", "bee"]}, NAMES)
    job = house.client.post("/v1/jobs", json=asked).json()["id"]
    model = house.client.post("/v1/models", json={"job": job}).json()
    assert model["class_names"] == NAMES
    assert house.client.get(f"/v1/models/{asked['teacher']}").json()["class_names"] == ["cat", "ant", "bee"]
