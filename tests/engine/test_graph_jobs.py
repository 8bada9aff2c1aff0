"""Captured networks as teachers and students of jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.contract.architectures import Graph
from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import RESNET, blobs, make
from tests.engine.modules import Convolutions, Encoder, Recurrent, captured
from tests.engine.test_resume import TRAINING, stopped_at, student_of
from tests.engine.texts import make_text_job, pieces
from tests.engine.uploads import model, said
from worker.engine.failures import EngineFailure
from worker.engine.opening import open_student

pytestmark = pytest.mark.xdist_group("captures")  # each is made once
RunHere = Callable[[Path], None]
NAMED = "mdl_" + "1" * 32
ONE_EPOCH = {"epochs": 1, "batch_size": 16}


def images(samples: int = 60) -> dict[str, Any]:
    inputs, labels = blobs(samples, (1, 8, 8))
    return {"inputs": inputs, "labels": labels}


def stored_student(folder: Path, initial: dict[str, Any] | None, name: str = "cnn", **more: Any) -> Path:
    """Lay out a job whose student is a registered capture; its weights lie beside it."""
    module, capture = captured(name)
    described = capture.architecture.model_dump(mode="json", exclude_none=True)
    weights = {"path": "inputs/start.safetensors", "architecture": described}
    student = {"architecture": described, "weights": None if initial else weights}
    spec = {"student": {"model": NAMED, "initial": initial}, "control": False}
    data = images() if name == "cnn" else {}
    make(folder, teacher=RESNET, student=capture.architecture, spec=spec, **data, **more)
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**job, "student": student}))
    save_file({key: tensor.clone() for key, tensor in module.state_dict().items()}, folder / "inputs/start.safetensors")
    return folder


def student_in(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "student.safetensors")


def test_a_captured_network_teaches_and_is_taught(tmp_path: Path, run_here: RunHere) -> None:
    architecture = captured("cnn")[1].architecture
    run_here(make(tmp_path, teacher=architecture, student=architecture, training=ONE_EPOCH, **images()))
    Convolutions().load_state_dict(student_in(tmp_path), strict=True)
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    assert report.student.flops == report.teacher.flops == 2 * (64 * 9 * 4 + 64 * 3)
    assert report.student.parameters == architecture.size()
    described = json.loads((tmp_path / "out" / "manifest.json").read_text())["architecture"]
    again = Graph.model_validate(described)
    assert again == architecture
    (tmp_path / "upload").write_bytes((tmp_path / "out" / "student.safetensors").read_bytes())
    assert said(model(tmp_path / "upload", again)) == ""


@pytest.mark.parametrize("fresh", [False, True])
def test_a_student_starts_from_what_was_captured_or_afresh(tmp_path: Path, run_here: RunHere, fresh: bool) -> None:
    initial = {"kind": "fresh"} if fresh else None
    still = {**ONE_EPOCH, "optimizer": {"kind": "sgd", "learning_rate": 0}}
    run_here(stored_student(tmp_path, initial, training=still))
    own, found = captured("cnn")[0].state_dict(), student_in(tmp_path)
    assert torch.equal(own["head.weight"], found["head.weight"]) == (not fresh)
    assert found["head.weight"].abs().max() <= 1 / 8  # 64 inputs
    assert not torch.equal(own["features.1.running_mean"], found["features.1.running_mean"])


def test_a_start_that_nobody_knows_is_refused(tmp_path: Path, run_here: RunHere) -> None:
    folder = stored_student(tmp_path, {"kind": "fresh"}, "masked")
    with pytest.raises(EngineFailure, match=r"cannot start: nobody knows how .* drawn anew: scale;") as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_texts_are_read_by_captured_networks(tmp_path: Path, run_here: RunHere) -> None:
    (teacher_module, teacher), (_, student) = captured("encoder"), captured("lstm")
    weights = {name: tensor.clone() for name, tensor in teacher_module.state_dict().items()}
    run_here(
        make_text_job(
            tmp_path,
            teacher=teacher.architecture,
            student=student.architecture,
            read_by_teacher=pieces(),
            weights=weights,
            training=ONE_EPOCH,
        )
    )
    Recurrent().load_state_dict(student_in(tmp_path), strict=True)
    assert open_student(tmp_path / "out")(["A great moving film.", "Awful"]).shape == (2, 2)
    assert "load_state_dict(..., strict=True)" in (tmp_path / "out" / "README.md").read_text()
    Encoder().load_state_dict(load_file(tmp_path / "inputs" / "teacher.safetensors"), strict=True)


def test_texts_longer_than_its_positions_are_refused(tmp_path: Path, run_here: RunHere) -> None:
    encoder = captured("encoder")[1].architecture
    long = {**pieces(), "max_tokens": 41}
    with pytest.raises(EngineFailure, match=r"cuts texts at 41 tokens \(max_tokens\), and it has positions for 40"):
        run_here(make_text_job(tmp_path, teacher=encoder, read_by_teacher=long))


@pytest.mark.parametrize("check", [2, 9])
def test_a_captured_student_goes_on_bit_for_bit(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    whole, cut = [stored_student(tmp_path / name, None, training=TRAINING) for name in ("whole", "cut")]
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert student_of(cut) == student_of(whole)


def test_samples_of_another_shape_are_refused(tmp_path: Path, run_here: RunHere) -> None:
    inputs, labels = blobs(30, (64,))
    architecture = captured("cnn")[1].architecture
    with pytest.raises(EngineFailure, match=r"captured with samples of shape \(1, 8, 8\), not \(64,\)"):
        run_here(make(tmp_path, teacher=architecture, student=architecture, inputs=inputs, labels=labels))
