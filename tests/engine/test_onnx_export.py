"""The student as ONNX: equal to torch on real samples, for any batch, and able to teach here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from app.contract.architectures import Lstm, Onnx, Textcnn
from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import SMALL_MLP, blobs, make, of_type
from tests.engine.texts import make_text_job, pieces
from tests.engine.uploads import model
from worker.engine import build
from worker.engine.failures import EngineFailure
from worker.engine.published import onnx_export
from worker.engine.views.encoding import Reading

RunHere = Callable[[Path], None]
EXPORTED: dict[str, Any] = {"control": False, "export": {"plots": False, "onnx": True}}


def run_onnx(folder: Path, **inputs: Any) -> Any:
    session = onnxruntime.InferenceSession(folder / "out" / "student.onnx", providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], inputs)[0])


def test_a_student_as_onnx_says_what_torch_says_and_may_teach(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, spec=EXPORTED, training={"epochs": 1})
    run_here(folder)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.onnx
    assert manifest["onnx"] == report.onnx.model_dump()
    assert report.onnx.max_difference < report.onnx.tolerance
    assert "onnx" in {file["kind"] for file in manifest["files"]}
    network = build.network(SMALL_MLP).eval()
    network.load_state_dict(load_file(folder / "out" / "student.safetensors"))
    for count in (1, 7):
        inputs = blobs(count)[0]
        with torch.inference_mode():
            assert torch.allclose(run_onnx(folder, input=inputs), network(torch.from_numpy(inputs)), atol=1e-6)
    assert b"/worker/" not in (folder / "out" / "student.onnx").read_bytes()
    assert not model(folder / "out" / "student.onnx", Onnx(classes=3)).problems


def test_a_student_that_reads_takes_ids_and_mask(tmp_path: Path, run_here: RunHere) -> None:
    student = Textcnn(vocabulary=120, embedding=4, filters=3, widths=(1, 2), classes=2)
    folder = make_text_job(tmp_path, student=student, read_by_teacher=pieces(), spec=EXPORTED, training={"epochs": 1})
    run_here(folder)
    network = build.network(student).eval()
    network.load_state_dict(load_file(folder / "out" / "student.safetensors"))
    preprocessing = json.loads((folder / "out" / "manifest.json").read_text())["preprocessing"]
    settings = type(model(folder / "out" / "student.safetensors", student).preprocessing)
    tokens = Reading(build.encoder(settings.model_validate(preprocessing)), torch.device("cpu"))(["a", "a dull film"])
    found = run_onnx(folder, ids=tokens.ids_BL.numpy(), mask=tokens.mask_BL.numpy())
    with torch.inference_mode():
        assert torch.allclose(found, network(tokens), atol=1e-6)


def test_a_model_that_differs_is_left_out_and_told(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    folder = make(tmp_path, spec=EXPORTED, training={"epochs": 1})
    run_here(folder)
    assert "student.onnx is left out" in of_type(folder, "notice")[-1].text
    assert not (folder / "out" / "student.onnx").exists()
    assert (folder / "out" / "student.safetensors").exists()


@pytest.mark.parametrize(
    ("hidden", "code"), [("onnxscript", FailureCode.EXPORT_UNAVAILABLE), (None, FailureCode.INVALID_SPEC)]
)
def test_what_cannot_be_exported_fails_before_training(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, hidden: str | None, code: FailureCode
) -> None:
    student = Lstm(inputs=4, hidden=3, classes=2, vocabulary=120)
    assert student.refuses_onnx()
    if hidden:
        monkeypatch.setitem(__import__("sys").modules, hidden, None)
    with pytest.raises(EngineFailure) as failure:
        run_here(make_text_job(tmp_path, student=student, read_by_teacher=pieces(), spec=EXPORTED))
    assert failure.value.code is code
    assert not (tmp_path / "out").exists()
