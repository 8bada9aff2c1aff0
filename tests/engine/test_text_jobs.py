"""Whole jobs on texts: teacher and student of different families, each reading in its own way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.contract.architectures import Architecture, Lstm, Mlp, Textcnn
from app.contract.events import Run
from app.contract.preprocessing import PREPROCESSING, Words
from app.contract.report import Report
from tests.engine.folders import blobs, make, of_type
from tests.engine.texts import STUDENT, TEACHER, make_text_job, pieces, sentences
from tests.engine.uploads import model
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.data.samples import Tokens
from worker.engine.failures import EngineFailure
from worker.engine.published import student_file
from worker.engine.views.encoding import Reading

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]


def taught(folder: Path, run_here: RunHere) -> dict[str, torch.Tensor]:
    """Return the weights of a network that has learnt the sentences from their labels."""
    spec = {"objective": [{"kind": "hard_target"}], "control": False}
    training = {"epochs": 15, "optimizer": {"kind": "adamw", "learning_rate": 0.02}}
    run_here(make_text_job(folder, student=TEACHER, read_by_teacher=pieces(), spec=spec, training=training))
    return load_file(folder / "out" / "student.safetensors")


def test_a_student_learns_from_a_teacher_that_reads_differently(tmp_path: Path, run_here: RunHere) -> None:
    weights = taught(tmp_path / "teacher", run_here)
    texts, labels = sentences(200, seed=1)
    known = [label if row % 5 == 0 else None for row, label in enumerate(labels)]
    rows = [{"text": text, "label": label} for text, label in zip(texts, known, strict=True)]
    read_by_student = {"kind": "words", "max_tokens": 20}
    training = {"epochs": 25, "optimizer": {"kind": "adamw", "learning_rate": 0.02}}
    folder = make_text_job(
        tmp_path / "job",
        weights=weights,
        rows=rows,
        read_by_teacher=pieces(),
        read_by_student=read_by_student,
        training=training,
    )
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.teacher.accuracy is not None
    assert report.teacher.accuracy > 0.9
    assert report.student.agreement > 0.9
    assert report.control is not None
    assert report.student.flops > 0
    told, taught_by = predictions(folder, texts), answers(texts, weights)
    assert sum(one == other for one, other in zip(told, taught_by, strict=True)) > 180


def predictions(folder: Path, texts: list[str]) -> list[int]:
    """Use the student as its users will: from what was published, and from nothing else."""
    manifest = json.loads((folder / "out" / "manifest.json").read_bytes())
    assert manifest["class_names"] == ["bad", "good"]
    network = build.network(Textcnn.model_validate(manifest["architecture"]))
    network.load_state_dict(load_file(folder / "out" / "student.safetensors"))
    settings = PREPROCESSING.validate_python(manifest["preprocessing"])
    assert isinstance(settings, Words)
    assert settings.whole()
    return _classes(network, Reading(build.encoder(settings), torch.device("cpu"))(texts))


def answers(texts: list[str], weights: dict[str, torch.Tensor]) -> list[int]:
    network = build.network(TEACHER)
    network.load_state_dict(weights)
    settings = PREPROCESSING.validate_python(pieces())
    return _classes(network, Reading(build.encoder(settings), torch.device("cpu"))(texts))


def _classes(network: torch.nn.Module, tokens: Tokens) -> list[int]:
    with torch.inference_mode():
        return network.eval()(tokens).argmax(1).tolist()  # type: ignore[no-any-return]


def test_a_student_without_preprocessing_reads_as_its_teacher(tmp_path: Path, lay_out: LayOut) -> None:
    student = Textcnn(vocabulary=120, embedding=4, filters=2, classes=2)
    bench = lay_out(make_text_job(tmp_path, student=student, read_by_teacher=pieces()))
    assert bench.preparation.of_student == PREPROCESSING.validate_python(pieces())
    assert bench.student_sight is bench.teacher_sights[0]


def test_words_are_learnt_from_the_training_part_alone(tmp_path: Path, lay_out: LayOut) -> None:
    rows = [{"text": "seen words", "label": 0, "split": "train"}, {"text": "unseen", "label": 1, "split": "test"}]
    reads: dict[str, Any] = {"read_by_teacher": pieces(), "read_by_student": {"kind": "words"}}
    bench = lay_out(make_text_job(tmp_path, rows=rows, training={"batch_size": 1}, **reads))
    settings = bench.preparation.of_student
    assert isinstance(settings, Words)
    assert settings.vocabulary == ("<pad>", "<unk>", "seen", "words")


def test_the_vocabulary_is_no_larger_than_the_embedding(tmp_path: Path, lay_out: LayOut) -> None:
    student = Textcnn(vocabulary=7, embedding=4, filters=2, classes=2)
    read = {"kind": "words"}
    bench = lay_out(make_text_job(tmp_path, student=student, read_by_teacher=pieces(), read_by_student=read))
    assert isinstance(bench.preparation.of_student, Words)
    assert len(bench.preparation.of_student.vocabulary or ()) == 7


def test_micro_batches_see_what_the_whole_batch_sees(tmp_path: Path, lay_out: LayOut) -> None:
    weights = []
    for parts in (1, 4):
        folder = make_text_job(
            tmp_path / str(parts),
            student=TEACHER,
            read_by_teacher=pieces(),
            training={"epochs": 1, "accumulation": parts, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
        )
        run = (bench := lay_out(folder)).training_run(bench.lessons(Run.STUDENT)[-1])
        run.train()
        weights.append(run.state.weights())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=2e-6, rtol=1e-4)


ARRAYS = Mlp(inputs=6, hidden=(4,), classes=2)


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"student": ARRAYS}, "does not fit the student: Multi-layer perceptron takes array samples, and these are"),
        ({"student": Lstm(inputs=4, hidden=3, classes=2)}, "set vocabulary to read texts"),
        ({"read_by_teacher": None}, "The teacher cannot read: it reads tokens, and has no preprocessing"),
        ({"read_by_teacher": {"kind": "words"}}, "The teacher cannot read: a trained network knows words"),
        ({"student": STUDENT, "read_by_student": None}, "tells 120 tokens apart, and it embeds 60"),
        ({"read_by_student": {"kind": "words", "vocabulary_size": 61}}, "tells 61 tokens apart, and it embeds 60"),
        ({"spec": {"augmentation": [{"kind": "noise", "std": 1}]}}, "takes array or image samples, and these are text"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, lay_out: LayOut, job: dict[str, Any], text: str) -> None:
    usual = {"read_by_teacher": pieces(), "read_by_student": {"kind": "words"}}
    with pytest.raises(EngineFailure, match=text):
        lay_out(make_text_job(tmp_path, **{**usual, **job}))


@pytest.mark.parametrize("student", [STUDENT, Lstm(inputs=2, hidden=3, classes=3, vocabulary=10)])
def test_arrays_are_not_read(tmp_path: Path, lay_out: LayOut, student: Architecture) -> None:
    with pytest.raises(EngineFailure, match=r"does not fit the student: .* samples, and these are array"):
        lay_out(make(tmp_path, student=student.model_copy(update={"classes": 3})))


def test_arrays_take_no_words(tmp_path: Path, lay_out: LayOut) -> None:
    spec = {"student": {"architecture": ARRAYS.model_dump() | {"classes": 3}, "preprocessing": {"kind": "words"}}}
    with pytest.raises(EngineFailure, match="its preprocessing takes text or words samples, and these are array"):
        lay_out(make(tmp_path, inputs=blobs(120)[0], spec=spec))


def test_a_job_reports_its_teachers_pass_once(tmp_path: Path, run_here: RunHere) -> None:
    folder = make_text_job(tmp_path, read_by_teacher=pieces(), read_by_student={"kind": "words"})
    run_here(folder)
    phases = [event.phase for event in of_type(folder, "phase") if event.run is Run.STUDENT]
    assert phases == ["teacher_pass", "training"]


def test_a_file_says_how_its_student_reads(tmp_path: Path, run_here: RunHere) -> None:
    student = Lstm(inputs=4, hidden=3, classes=2, vocabulary=40)
    spec, reads = {"control": False}, {"kind": "words", "max_tokens": 20}
    folder = make_text_job(
        tmp_path, student=student, read_by_teacher=pieces(), read_by_student=reads, spec=spec, training={"epochs": 1}
    )
    run_here(folder)
    manifest = json.loads((folder / "out" / "manifest.json").read_bytes())
    found = model(folder / "out" / "student.safetensors", student)
    assert not found.problems
    assert found.preprocessing == PREPROCESSING.validate_python(manifest["preprocessing"])


def test_a_long_preprocessing_stays_out_of_the_file() -> None:
    assert student_file.metadata_of(Words(vocabulary=("a", "b")))
    assert not student_file.metadata_of(Words(vocabulary=tuple(f"ü{number}" for number in range(150_000))))
    assert student_file.metadata_of(None) == {}
