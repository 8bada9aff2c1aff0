"""Language models over HTTP: what goes together, and what is refused with a pointer."""

from typing import Any

import pytest

from tests.api.conftest import House

CONFIG = {"model_type": "gpt2", "vocab_size": 50, "n_positions": 64}
GPT2 = {"kind": "transformers", "task": "causal_lm", "config": CONFIG, "classes": 50}
CLASSIFIER = {**GPT2, "task": "sequence_classification"}
WORDS = {"kind": "words", "vocabulary": ["<pad>", "<unk>", "a", "b"], "max_tokens": 32}
OTHERS = {**WORDS, "max_tokens": 16}
TEXTCNN = {"kind": "textcnn", "vocabulary": 50, "classes": 50}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what is tried does not reach it, or is the same on both."""
    return sqlite_url


def checked(house: House, spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return dict(house.client.post("/v1/jobs/validate", json={**spec, **changes}).json())


def test_a_language_model_teaches_another(house: House) -> None:
    spec = {**house.ready_text(GPT2, WORDS), "student": {"architecture": GPT2}}
    for objective in ([{"kind": "hard_target"}], [{"kind": "uld"}, {"kind": "dkd"}], [{"kind": "jsd"}]):
        found = checked(house, spec, objective=objective)
        assert (found["errors"], found["warnings"]) == ([], [])
    assert house.client.post("/v1/jobs", json=spec).status_code == 201


def test_texts_need_no_labels(house: House) -> None:
    spec = {**house.ready_text(GPT2, WORDS, labelled=0), "student": {"architecture": GPT2}}
    found = checked(house, spec, objective=[{"kind": "hard_target"}])
    assert (found["errors"], found["warnings"]) == ([], [])


@pytest.mark.parametrize(
    ("teacher", "kind", "student", "changes", "pointer", "words"),
    [
        (GPT2, "words", GPT2, {}, "/teacher", "it takes texts as wholes, and these are lists of words"),
        (GPT2, "text", CLASSIFIER, {}, "/student", "the teacher predicts the tokens of texts, and the student does"),
        (GPT2, "text", TEXTCNN, {}, "/student", "the teacher predicts the tokens of texts, and the student does not"),
        (CLASSIFIER, "text", GPT2, {}, "/student", "the student predicts the tokens of texts (causal_lm), and the"),
        (GPT2, "text", GPT2, {"augmentation": [{"kind": "mask"}]}, "/augmentation/0", "changes the tokens"),
        (GPT2, "text", GPT2, {"export": {"onnx": True}}, "/export/onnx", "of the task causal_lm is not exported"),
        (GPT2, "text", GPT2, {"student": {"architecture": GPT2, "preprocessing": OTHERS}}, "/student/preprocessing",
         "cuts them elsewhere"),
    ],
)  # fmt: skip
def test_misfits_are_refused_with_a_pointer(
    house: House, teacher: Any, kind: Any, student: Any, changes: dict[str, Any], pointer: str, words: str
) -> None:
    spec = {**house.ready_text(teacher, WORDS, kind), "student": {"architecture": student}}
    problems = {error["pointer"]: error["detail"] for error in checked(house, spec, **changes)["errors"]}
    assert words in problems[pointer]


def test_the_classes_are_the_vocabulary(house: House) -> None:
    spec = {**house.ready_text(GPT2, WORDS), "student": {"architecture": {**GPT2, "classes": 2}}}
    assert "the classes are the tokens, 50 of them" in str(checked(house, spec)["errors"])
