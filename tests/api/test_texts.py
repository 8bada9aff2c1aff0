"""Networks that read texts, over HTTP: how they read is theirs, and what cannot go together is refused at once."""

from typing import Any

import pytest

from app.contract.inspection import ModelInspection
from app.contract.preprocessing import Words
from tests.api.conftest import STUDENT, TEACHER, House

WORDS = {"kind": "words", "vocabulary": ["<pad>", "<unk>", "good", "bad"]}
LSTM = {"kind": "lstm", "inputs": 4, "hidden": 3, "classes": 2, "vocabulary": 4}
TEXTCNN = {"kind": "textcnn", "vocabulary": 50, "embedding": 4, "filters": 2, "classes": 2}
ARRAYS = {"kind": "lstm", "inputs": 4, "hidden": 3, "classes": 2}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what is tried does not reach it, or is the same on both."""
    return sqlite_url


def test_a_model_keeps_its_preprocessing(house: House) -> None:
    model = house.register("models", architecture=LSTM, preprocessing=WORDS)
    assert model["preprocessing"]["vocabulary"] == WORDS["vocabulary"]
    assert house.client.get(f"/v1/models/{model['id']}").json()["preprocessing"]["max_tokens"] == 128
    assert house.register("models", architecture=TEACHER)["preprocessing"] is None


@pytest.mark.parametrize(
    ("architecture", "preprocessing", "words"),
    [
        (LSTM, {"kind": "words"}, "give its vocabulary"),
        ({**LSTM, "vocabulary": 3}, WORDS, "tells 4 tokens apart, and it embeds 3"),
        (LSTM, {"kind": "tokenizer", "content": {"model": {"vocab": {"a": 4}}}}, "tells 5 tokens apart"),
    ],
)
def test_a_model_that_cannot_read_is_not_registered(
    house: House, architecture: dict[str, Any], preprocessing: dict[str, Any], words: str
) -> None:
    body = {"file": house.upload().json()["id"], "architecture": architecture, "preprocessing": preprocessing}
    answer = house.client.post("/v1/models", json=body)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == "/preprocessing"
    assert words in problem["detail"]


def test_a_file_may_say_itself_how_its_network_reads(house: House) -> None:
    model = house.register("models", architecture=LSTM)
    house.inspect(ModelInspection(preprocessing=Words(**{**WORDS, "max_tokens": 7})))
    on_texts = house.ready_text(LSTM, WORDS)
    spec = {**on_texts, "teacher": model["id"], "student": {"architecture": {**TEXTCNN, "vocabulary": 3}}}
    (error,) = house.client.post("/v1/jobs", json=spec).json()["errors"]
    assert "tells 4 tokens apart" in error["detail"]
    spec["student"] = {"architecture": TEXTCNN}
    job = house.client.post("/v1/jobs", json=spec).json()["id"]
    student = house.client.post("/v1/models", json={"job": job}).json()
    assert (student["state"], student["preprocessing"]["max_tokens"]) == ("awaited", 7)


def test_what_a_student_will_learn_of_its_set_is_not_known_before(house: House) -> None:
    student = {"architecture": TEXTCNN, "preprocessing": {"kind": "words"}}
    job = house.client.post("/v1/jobs", json={**house.ready_text(LSTM, WORDS), "student": student}).json()["id"]
    assert house.client.post("/v1/models", json={"job": job}).json()["preprocessing"] is None


def test_a_job_on_texts_is_accepted_and_estimated(house: House) -> None:
    spec = {**house.ready_text(LSTM, WORDS), "student": {"architecture": TEXTCNN}}
    checked = house.client.post("/v1/jobs/validate", json=spec).json()
    assert checked["valid"], checked["errors"]
    assert checked["estimate"]["seconds_on_one_core"] > 0
    assert house.client.post("/v1/jobs", json=spec).status_code == 201


@pytest.mark.parametrize(
    ("student", "pointer", "words"),
    [
        ({"architecture": ARRAYS}, "/student/architecture", "set vocabulary to read texts"),
        ({"architecture": {**STUDENT["architecture"], "classes": 2}}, "/student/architecture", "these are text"),
        ({"architecture": {**TEXTCNN, "vocabulary": 3}}, "/student/preprocessing", "the teacher's, since the student"),
        (
            {"architecture": TEXTCNN, "preprocessing": {"kind": "words", "vocabulary_size": 51}},
            "/student/preprocessing",
            "tells 51 tokens apart, and it embeds 50",
        ),
    ],
)
def test_a_student_that_cannot_read_is_refused(house: House, student: dict[str, Any], pointer: str, words: str) -> None:
    spec = {**house.ready_text(LSTM, WORDS), "student": student}
    answer = house.client.post("/v1/jobs", json=spec)
    assert answer.status_code == 422
    found = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert words in found[pointer]


def test_networks_of_texts_are_no_use_for_arrays(house: House) -> None:
    on_arrays = house.ready()
    spec = {**house.ready_text(LSTM, WORDS), "student": {"architecture": TEXTCNN}}
    answer = house.client.post("/v1/jobs", json={**spec, "transfer_set": on_arrays["transfer_set"]})
    found = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert "takes text samples, and these are array" in found["/teacher"]
    assert "takes text samples, and these are array" in found["/student/architecture"]
    words = {"student": {**STUDENT, "preprocessing": {"kind": "words"}}}
    (error,) = house.client.post("/v1/jobs", json={**on_arrays, **words}).json()["errors"]
    assert (error["pointer"], "takes text or words samples" in error["detail"]) == ("/student", True)


def test_the_catalog_lists_what_reads(house: House) -> None:
    catalog = house.client.get("/v1/catalog").json()
    assert [entry["kind"] for entry in catalog["preprocessing"]] == ["words", "tokenizer", "image"]


def test_what_cannot_be_exported_as_onnx_is_refused(house: House) -> None:
    spec = {**house.ready_text(LSTM, WORDS), "student": {"architecture": LSTM}, "export": {"onnx": True}}
    (error,) = house.client.post("/v1/jobs", json=spec).json()["errors"]
    assert error["pointer"] == "/export/onnx"
    spec["student"] = {"architecture": TEXTCNN}
    assert house.client.post("/v1/jobs", json=spec).status_code == 201
