"""What a user reads when a spec is wrong, and what the defaults are when it is right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.contract.problems import problems_of
from app.contract.spec import JobSpec

MODEL, DATASET = "mdl_" + "0" * 32, "ds_" + "0" * 32
STUDENT = {"architecture": {"kind": "mlp", "inputs": 64, "hidden": [16], "classes": 10}}


def document(**changes: Any) -> dict[str, Any]:
    return {"teacher": MODEL, "student": STUDENT, "transfer_set": DATASET, **changes}


def problems(**changes: Any) -> dict[str, str]:
    wrong = document(**changes)
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(wrong)
    return {problem.pointer: problem.detail for problem in problems_of(caught.value, wrong)}


def soft(**changes: Any) -> list[dict[str, Any]]:
    return [{"kind": "soft_target", **changes}]


def test_the_least_spec_has_defaults_that_work() -> None:
    spec = JobSpec.model_validate(document())
    assert [term.kind for term in spec.objective] == ["soft_target", "hard_target"]
    assert spec.control
    assert spec.device == "auto"
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("devices", "accumulation", "parts"), [(1, 1, 1), (1, 3, 3), (2, 1, 2), (2, 3, 4), (4, 8, 8), (3, 4, 6)]
)
def test_each_device_gets_as_many_micro_batches(devices: int, accumulation: int, parts: int) -> None:
    spec = JobSpec.model_validate(document(devices=devices, training={"accumulation": accumulation}))
    assert spec.micro_batches == parts


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"transfer_st": DATASET}, "/transfer_st", "did you mean 'transfer_set'?"),
        ({"objective": soft(temprature=3)}, "/objective/0/temprature", "did you mean 'temperature'?"),
        ({"objective": [{"kind": "soft_targt"}]}, "/objective/0", "did you mean 'soft_target'?"),
        ({"student": {"architecture": {"kind": "mpl"}}}, "/student/architecture", "did you mean 'mlp'?"),
        ({"objective": soft(temperature=0)}, "/objective/0/temperature", "must stay above 0"),
        ({"objective": soft(temperature=-1)}, "/objective/0/temperature", "must stay above 0"),
        ({"objective": soft(weight=-0.1)}, "/objective/0/weight", "at least 0"),
        ({"objective": soft(weight="much")}, "/objective/0/weight", "valid number"),
        ({"objective": soft(weight=0)}, "/objective", "weights sum to 0"),
        ({"objective": []}, "/objective", "no terms"),
        ({"objective": [{"kind": "hard_target", "on": "unlabelled"}]}, "/objective/0", "cannot look at unlabelled"),
        ({"generations": 11}, "/generations", "less than or equal to 10"),
        ({"generations": 2, "student": {"model": MODEL}}, "/generations", "starts from fresh weights"),
        ({"training": {"epochs": 0}}, "/training/epochs", "greater than or equal to 1"),
        ({"training": {"epochs": 10**9}}, "/training/epochs", "less than or equal to"),
        ({"devices": 17}, "/devices", "less than or equal to 16"),
        (
            {"devices": 4, "training": {"batch_size": 3}},
            "/devices",
            "a batch of 3 samples cannot be shared out among 4",
        ),
        ({"training": {"batch_size": 0}}, "/training/batch_size", "greater than or equal to 1"),
        ({"teacher": "resnet"}, "/teacher", "pattern"),
        ({"teacher": {"members": []}}, "/teacher/members", "at least 2"),
        ({"teacher": {"members": [{"model": MODEL, "weight": 0}]}}, "/teacher/members/0/weight", "greater than 0"),
        ({"student": {}}, "/student", "either an architecture or a model"),
        ({"student": {**STUDENT, "initial": {"kind": "stored"}}}, "/student", "give `model` instead"),
        ({"student": {**STUDENT, "initial": {"kind": "teacher_layers"}}}, "/student/initial/layers", "required"),
        ({"augmentation": [{"kind": "mixup"}, {"kind": "cutmix"}]}, "/augmentation", "only one step may mix"),
        ({"augmentation": [{"kind": "fliq"}]}, "/augmentation/0", "did you mean 'flip'"),
        ({"views": {"kind": "fixed", "count": 0}}, "/views/count", "greater than or equal to 1"),
        ({"seed": -1}, "/seed", "greater than or equal to 0"),
        ({"student": {"architecture": {"kind": "onnx", "classes": 2}}}, "/student/architecture", "cannot be trained"),
        ({"student": {"architecture": {"kind": "mlp", "inputs": 64}}}, "/student/architecture/classes", "required"),
    ],
)
def test_an_error_points_at_its_field(changes: dict[str, Any], pointer: str, words: str) -> None:
    found = problems(**changes)
    assert words in found[pointer]


def test_a_limit_of_time_is_not_for_generations() -> None:
    found = problems(max_runtime=60, generations=2)
    assert "bound generations by training.epochs" in found["/max_runtime"]


def test_all_errors_come_at_once() -> None:
    found = problems(seed=-1, training={"epochs": 0}, objective=soft(temperature=0, wieght=1))
    assert found.keys() == {"/seed", "/training/epochs", "/objective/0/temperature", "/objective/0/wieght"}


def test_a_schedule_that_falls_to_zero_is_no_temperature() -> None:
    found = problems(objective=soft(temperature={"kind": "linear", "start": 4, "end": 0}))
    assert "reaches 0" in found["/objective/0/temperature"]


def test_a_warm_up_of_a_temperature_names_warmup_from() -> None:
    found = problems(objective=soft(temperature={"kind": "constant", "value": 4, "warmup": 1}))
    assert "warmup_from" in found["/objective/0/temperature"]


def test_an_error_inside_a_schedule_is_found() -> None:
    found = problems(objective=soft(weight={"kind": "linear", "start": 1}))
    assert found == {"/objective/0/weight/end": "this field is required"}


_leaves = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_is_sent_is_answered_with_pointers(junk: Any) -> None:
    wrong = document(objective=junk, training=junk, surplus=junk)
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(wrong)
    for problem in problems_of(caught.value, wrong):
        assert problem.pointer == "" or problem.pointer.startswith("/")
        assert problem.detail
