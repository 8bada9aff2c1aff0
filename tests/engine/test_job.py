"""Whole jobs: what is published, what is refused, what is said."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from app.contract.architectures import Mlp
from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import LSTM, MLP, SMALL_MLP, blobs, make, of_type, read_job
from worker.engine import build
from worker.engine.failures import EngineFailure

RunHere = Callable[[Path], None]


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def test_what_is_published(tmp_path: Path, run_here: RunHere) -> None:
    names = {"body": "layers.0", "top": "layers.1"}
    folder = make(tmp_path, names=names, transfer_set={"splits": {"validation": 0.2, "test": 0.2}})
    run_here(folder)
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == {
        "student.safetensors",
        "README.md",
        "report.json",
        "manifest.json",
        "job.lock.json",
    }
    student = load_file(out / "student.safetensors")
    assert list(student) == ["body.weight", "body.bias", "top.weight", "top.bias"]
    assert all(tensor.dtype == torch.float32 for tensor in student.values())
    with safe_open(out / "student.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "pt"
        assert Mlp.model_validate_json(file.metadata()["architecture"]) == SMALL_MLP
    report, manifest = report_of(folder), json.loads((out / "manifest.json").read_text())
    digest = hashlib.sha256((out / "student.safetensors").read_bytes()).hexdigest()
    assert manifest["sha256"] == digest
    assert manifest["size"] == (out / "student.safetensors").stat().st_size
    assert manifest["report"]["student"]["accuracy"] == report.student.accuracy
    listed = {file["name"]: file["sha256"] for file in manifest["files"]}
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
    assert listed == {name: sha256 for name, sha256 in written.items() if name != "manifest.json"}
    lock = json.loads((out / "job.lock.json").read_text())
    assert lock["digests"]["student"] == digest
    assert lock["job"] == read_job(folder).model_dump(mode="json")
    assert lock["versions"]["torch"] == torch.__version__


def test_the_report(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, transfer_set={"splits": {"validation": 0.2, "test": 0.25}})
    run_here(folder)
    report = report_of(folder)
    assert report.evaluated_on.model_dump() == {
        "split": "test",
        "samples": 30,
        "words": None,
        "tokens": None,
        "labelled": 30,
        "scaled_on": "validation",
    }
    assert report.teacher.agreement == 1
    assert report.teacher.kl_to_teacher == 0
    assert (report.teacher.parameters, report.teacher.bytes) == (123, 4 * 123)
    assert (report.student.parameters, report.student.flops) == (43, 2 * (6 * 4 + 4 * 3))
    assert report.control is not None
    assert report.control.nll != report.student.nll
    assert all(scores.latency_ms > 0 for scores in (report.teacher, report.student, report.control))
    assert all(scores.ece_scaled is not None for scores in (report.teacher, report.student, report.control))
    assert set(report.curves) == set(report.training_seconds) == {"student", "control"}
    assert report.curves["student"]["validation/loss"].steps == [5, 10, 15, 20]
    assert report.hardware.threads == torch.get_num_threads()
    assert report.peak_memory
    assert 50 * 2**20 < (report.peak_memory.host or 0) < 8 * 2**30
    assert (report.peak_memory.device is None) == (not torch.cuda.is_available())


def test_student_and_control_are_followed_by_the_same_loss(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, transfer_set={"splits": {"validation": 0.25}})
    run_here(folder)
    report = report_of(folder)
    assert report.evaluated_on.split == "validation"
    assert report.control is not None
    assert report.curves["student"]["validation/nll"].values[-1] == pytest.approx(report.student.nll)
    assert report.curves["control"]["validation/nll"].values[-1] == pytest.approx(report.control.nll)
    control = report.curves["control"]
    assert control["validation/nll"].values == pytest.approx(control["validation/loss"].values, abs=1e-5)


def test_scores_are_those_of_the_file(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path)
    inputs, labels = blobs(120)
    splits = np.where(np.arange(120) < 80, 0, 2)
    with (folder / "inputs" / "transfer_set").open("wb") as file:
        np.savez(file, X=inputs.astype(np.float64), Y=labels, split=splits)
    run_here(folder)
    student = build.network(SMALL_MLP).eval()
    student.load_state_dict(load_file(folder / "out" / "student.safetensors"))
    with torch.no_grad():
        predicted = student(torch.from_numpy(inputs[80:])).argmax(1).numpy()
    report = report_of(folder)
    assert report.evaluated_on.split == "test"
    assert report.evaluated_on.samples == 40
    assert report.student.accuracy == pytest.approx((predicted == labels[80:]).mean())


def test_equal_jobs_give_equal_bytes_and_the_seed_matters(tmp_path: Path, run_here: RunHere) -> None:
    digests = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = make(tmp_path / name, spec={"seed": seed, "name": name, "control": False})
        run_here(folder)
        digests.append(hashlib.sha256((folder / "out" / "student.safetensors").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_no_labels_at_all(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, labels=np.full(120, -1))
    run_here(folder)
    report = report_of(folder)
    assert "hard_target takes no part" in of_type(folder, "notice")[0].text
    assert report.control is None
    assert report.control_missing is not None
    assert "label" in report.control_missing
    assert report.student.accuracy is report.student.ece is report.student.scaling_temperature is None
    assert set(report.curves["student"]) == {
        "loss", "loss/soft_target", "learning_rate", "validation/loss", "validation/agreement",
    }  # fmt: skip


def test_each_part_has_its_own_terms(tmp_path: Path, run_here: RunHere) -> None:
    labels = np.where(np.arange(120) % 3 == 0, blobs(120)[1], -1)
    terms = [
        {"kind": "hard_target"},
        {"kind": "pseudo_label", "threshold": 0.4},
        {"kind": "logit_mse", "on": "labelled"},
    ]
    folder = make(tmp_path, labels=labels, spec={"objective": terms, "control": False})
    run_here(folder)
    assert not of_type(folder, "notice")
    last = of_type(folder, "step")[-1].metrics
    assert all(last[f"loss/{term['kind']}"] > 0 for term in terms)


def test_terms_on_a_part_that_is_not_there(tmp_path: Path, run_here: RunHere) -> None:
    run_here(make(tmp_path / "a", spec={"objective": [{"kind": "hard_target"}, {"kind": "pseudo_label"}]}))
    (notice,) = of_type(tmp_path / "a", "notice")
    assert notice.text == "Every training sample carries a label: pseudo_label takes no part."
    with pytest.raises(EngineFailure, match=r"looks at unlabelled samples alone \(pseudo_label\): nothing would be"):
        run_here(make(tmp_path / "b", spec={"objective": [{"kind": "pseudo_label"}]}))


def test_a_batch_larger_than_the_set_is_refused(tmp_path: Path, run_here: RunHere) -> None:
    with pytest.raises(
        EngineFailure, match=r"A batch of 100,000 is larger than the training part, which has \d+ samples"
    ):
        run_here(make(tmp_path, training={"batch_size": 100_000}))


def test_a_set_smaller_than_the_usual_batch_is_one_batch(tmp_path: Path, run_here: RunHere) -> None:
    inputs, labels = blobs(40)
    folder = make(tmp_path, inputs=inputs, labels=labels, training={"batch_size": None})
    run_here(folder)
    assert {event.steps for event in of_type(folder, "step")} == {4}


def test_progress_goes_from_the_student_through_the_control(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, training={"log_every": 7})
    run_here(folder)
    progress = [event.progress for event in of_type(folder, "step")]
    assert progress == pytest.approx([(number + 1) / 8 for number in range(8)])
    left = [event.eta_seconds for event in of_type(folder, "step")]
    assert all(seconds >= 0 for seconds in left)
    assert left[-1] == 0
    phases = [(event.phase, event.run) for event in of_type(folder, "phase")]
    assert phases == [
        ("teacher_pass", "student"),
        ("training", "student"),
        ("training", "control"),
        ("evaluating", None),
        ("exporting", None),
    ]


REFUSED: list[tuple[dict[str, Any], FailureCode, str]] = [
    ({"labels": np.full(120, 3)}, FailureCode.INVALID_TRANSFER_SET, "label 3; 3 classes are 0 to 2"),
    (
        {"labels": np.full(120, -1), "spec": {"objective": [{"kind": "hard_target"}]}},
        FailureCode.INVALID_TRANSFER_SET,
        r"No training sample carries a label.*hard_target",
    ),
    (
        {
            "labels": np.full(120, -1),
            "spec": {"objective": [{"kind": "annealed_target"}, {"kind": "soft_target", "weight": 0}]},
        },
        FailureCode.INVALID_TRANSFER_SET,
        "annealed_target",
    ),
    (
        {"student": Mlp(inputs=6, classes=4)},
        FailureCode.INVALID_SPEC,
        "teacher tells 3 classes apart and the student 4",
    ),
    ({"student": Mlp(inputs=7, classes=3)}, FailureCode.INVALID_SPEC, "does not fit the student: an mlp with inputs=7"),
    (
        {"inputs": np.zeros((120, 3), np.float32)},
        FailureCode.INVALID_SPEC,
        "does not fit the teacher",
    ),
    (
        {"training": {"early_stopping": {}}, "transfer_set": {"splits": {"validation": 0}}},
        FailureCode.INVALID_SPEC,
        "needs a validation split",
    ),
    (
        {"training": {"early_stopping": {"monitor": "accuracy"}}, "labels": np.full(120, -1)},
        FailureCode.INVALID_SPEC,
        "Early stopping on accuracy needs labels",
    ),
    (
        {"training": {"optimizer": {"kind": "sgd", "momentum": 0, "nesterov": True}}},
        FailureCode.INVALID_SPEC,
        "Nesterov",
    ),
    (
        {"names": {"a": "layers.0", "b": "layers.0"}},
        FailureCode.INVALID_SPEC,
        "no way back",
    ),
    (
        {"inputs": np.full((120, 6), np.nan, np.float32)},
        FailureCode.INVALID_TRANSFER_SET,
        "120 rows are not finite.*row 0",
    ),
]


@pytest.mark.parametrize(("settings", "code", "text"), REFUSED, ids=[text[:30] for _, _, text in REFUSED])
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, run_here: RunHere, settings: dict[str, Any], code: FailureCode, text: str
) -> None:
    with pytest.raises(EngineFailure, match=text) as failure:
        run_here(make(tmp_path, **settings))
    assert failure.value.code is code
    assert not (tmp_path / "out").exists()


def test_cuda_is_not_quietly_replaced(tmp_path: Path, run_here: RunHere) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(EngineFailure, match="no CUDA device") as failure:
        run_here(make(tmp_path, spec={"device": "cuda"}))
    assert failure.value.code is FailureCode.DEVICE_UNAVAILABLE


@pytest.mark.parametrize("which", ["teachers", "transfer_set"])
def test_inputs_that_changed_on_disk(tmp_path: Path, run_here: RunHere, which: str) -> None:
    announced: dict[str, Any] = {
        "teachers": [{"architecture": MLP.model_dump(), "sha256": "0" * 64}],
        "transfer_set": {"sha256": "0" * 64},
    }
    folder = make(tmp_path, **{which: announced[which]})
    with pytest.raises(EngineFailure, match="changed on disk") as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.ARTIFACT_CORRUPT


def test_a_teacher_that_does_not_fit_is_told_tensor_by_tensor(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path)
    save_file(
        {"layers.0.weight": torch.zeros(5, 6), "layers.0.bias": torch.zeros(12), "extra": torch.zeros(1)},
        folder / "inputs" / "teacher.safetensors",
    )
    with pytest.raises(EngineFailure) as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.INVALID_WEIGHTS
    for part in ("layers.1.weight, layers.1.bias", "extra", "layers.0.weight (5, 6) instead of (12, 6)"):
        assert part in failure.value.detail


def test_an_lstm_teacher_and_an_mlp_student(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, teacher=LSTM, student=Mlp(inputs=10, hidden=(4,), classes=3))
    run_here(folder)
    assert report_of(folder).student.flops == 2 * (10 * 4 + 4 * 3)
