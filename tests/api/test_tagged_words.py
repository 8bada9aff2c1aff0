"""Networks that classify words, over HTTP: what goes together, and what is refused with a pointer."""

from typing import Any

import pytest

from tests.api.conftest import House

BERT = {
    "kind": "transformers",
    "config": {"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 64},
    "classes": 2,
}
TAGGER = {**BERT, "task": "token_classification"}
WORDS = {"kind": "words", "vocabulary": ["<pad>", "<unk>", "a", "b"], "max_tokens": 32}
TEXTCNN = {"kind": "textcnn", "vocabulary": 50, "classes": 2}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what is tried does not reach it, or is the same on both."""
    return sqlite_url


def problems(house: House, spec: dict[str, Any], **changes: Any) -> dict[str, str]:
    checked = house.client.post("/v1/jobs/validate", json={**spec, **changes}).json()
    return {error["pointer"]: error["detail"] for error in checked["errors"]}


def test_a_tagger_teaches_a_tagger(house: House) -> None:
    spec = {**house.ready_text(TAGGER, WORDS, "words"), "student": {"architecture": TAGGER}}
    assert problems(house, spec) == {}
    assert problems(house, spec, augmentation=[{"kind": "mask"}]) == {}
    assert house.client.post("/v1/jobs", json=spec).status_code == 201


@pytest.mark.parametrize(
    ("teacher", "kind", "student", "changes", "pointer", "words"),
    [
        (TAGGER, "text", BERT, {}, "/teacher", "it takes lists of words (format `tagged_words`), and these are texts"),
        (BERT, "words", TAGGER, {}, "/teacher", "it takes texts as wholes, and these are lists of words"),
        (TAGGER, "words", BERT, {}, "/student/architecture", "it takes texts as wholes"),
        (TAGGER, "words", TEXTCNN, {}, "/student/architecture", "takes text samples, and these are words"),
        (TAGGER, "words", TAGGER, {"augmentation": [{"kind": "ngram"}]}, "/augmentation/0", "these are words"),
        (TAGGER, "words", TAGGER, {"export": {"onnx": True}}, "/export/onnx", "is not exported as ONNX"),
        (TAGGER, "words", TAGGER, {"student": {"architecture": {**TAGGER, "classes": 3}}},
         "/student/architecture/classes", "tells 2 classes apart and the student 3"),
    ],
)  # fmt: skip
def test_misfits_are_refused_with_a_pointer(
    house: House, teacher: Any, kind: Any, student: Any, changes: dict[str, Any], pointer: str, words: str
) -> None:
    spec = {**house.ready_text(teacher, WORDS, kind), "student": {"architecture": student}}
    assert words in problems(house, spec, **changes)[pointer]


def test_the_catalog_lists_the_format(house: House) -> None:
    catalog = house.client.get("/v1/catalog").json()
    assert "tagged_words" in [entry["kind"] for entry in catalog["transfer_sets"]]
