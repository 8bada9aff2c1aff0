"""ONNX models as teachers: they answer as they did at home, and reach for nothing but their own bytes."""

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import nn

from app.contract.architectures import Onnx
from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import MLP, blobs, make
from tests.engine.onnx_models import LINEAR, WEIGHT, branch, called, exported, model, outside, picking
from tests.engine.uploads import model as inspect
from tests.engine.uploads import said
from worker.engine.architectures.onnx import Network
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure
from worker.engine.files import onnx_file

FAMILY = Onnx(classes=3)
RunHere = Callable[[Path], None]


class Reader(nn.Module):
    """An LSTM's last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        steps, _ = self.lstm(inputs)
        return self.head(steps[:, -1])


NETWORKS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Dropout(0.5), nn.Linear(5, 3)), (6,)),
    (
        nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        ),
        (1, 8, 8),
    ),
    (Reader(), (5, 2)),
]


def network(path: Path, content: bytes | onnx.ModelProto, family: Onnx = FAMILY) -> Network:
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return Network(family, onnx_file.read(path), threads=1).eval()


@pytest.mark.parametrize(("original", "shape"), NETWORKS, ids=["mlp", "cnn", "lstm"])
def test_the_answers_are_torchs(tmp_path: Path, original: nn.Module, shape: tuple[int, ...]) -> None:
    black_box = network(tmp_path / "upload", exported(original, torch.zeros(2, *shape)))
    assert black_box.batch is None
    assert not list(black_box.parameters())
    for batch in (1, 2, 7):
        inputs = torch.randn(*reversed((batch, *shape))).permute(*reversed(range(len(shape) + 1)))
        with torch.inference_mode():
            torch.testing.assert_close(black_box(inputs), original.eval()(inputs), rtol=1e-4, atol=1e-5)
    finding = inspect(tmp_path / "upload", FAMILY)
    assert not finding.problems
    assert finding.format == "onnx"
    assert finding.onnx
    assert finding.onnx.input.shape == ("batch", *shape)
    assert finding.onnx.output.model_dump() == {"name": "y", "shape": ("batch", 3), "dtype": "float"}
    assert finding.parameters is not None
    assert finding.parameters >= sum(tensor.numel() for tensor in original.parameters() if tensor.ndim > 1)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, batch: int) -> None:
    black_box = network(tmp_path / "upload", model(inputs=(batch, 6), outputs={"y": (batch, 3)}))
    inputs = torch.randn(6, 6)
    torch.testing.assert_close(black_box(inputs), inputs @ torch.from_numpy(WEIGHT))
    finding = inspect(tmp_path / "upload", FAMILY)
    assert not finding.problems
    assert finding.onnx
    assert finding.onnx.batch == batch


def test_probabilities_are_taken_back_to_logits(tmp_path: Path) -> None:
    content = model(helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["y"]))
    family = Onnx(classes=3, gives="probabilities")
    inputs = torch.randn(5, 6)
    logits = network(tmp_path / "upload", content, family)(inputs)
    torch.testing.assert_close(logits.softmax(1), (inputs @ torch.from_numpy(WEIGHT)).softmax(1))
    assert torch.isfinite(network(tmp_path / "upload", content, family)(1000 * inputs)).all()
    assert not inspect(tmp_path / "upload", family).problems


def test_double_and_half_precision(tmp_path: Path) -> None:
    for kind, numbers in ((TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16)):
        cast = helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)
        nodes = (helper.make_node("MatMul", ["x", "w"], ["z"]), cast)
        content = model(*nodes, kind=kind, weights={"w": WEIGHT.astype(numbers)})
        answer = network(tmp_path / "upload", content)(torch.ones(2, 6))
        assert answer.dtype == torch.float32
        torch.testing.assert_close(answer[0], torch.from_numpy(WEIGHT.sum(0)), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "content", [picking(numpy_helper.from_array(-WEIGHT, "other")), called("MatMul")], ids=["if", "function"]
)
def test_control_flow_and_functions_of_standard_operators_run(tmp_path: Path, content: onnx.ModelProto) -> None:
    answer = network(tmp_path / "upload", content)(torch.ones(2, 6))
    torch.testing.assert_close(answer[1], torch.from_numpy(WEIGHT.sum(0)))
    assert not inspect(tmp_path / "upload", FAMILY).problems


LINEAR_TO_Z = helper.make_node("MatMul", ["x", "w"], ["z"])
SOFTMAX = (LINEAR_TO_Z, helper.make_node("Softmax", ["z"], ["y"]))
RESHAPE = (LINEAR_TO_Z, helper.make_node("Reshape", ["z", "s"], ["y"]))
TWO = {"y": ("batch", 3), "z": ("batch", 3)}
TWICE = (LINEAR, helper.make_node("Relu", ["y"], ["z"]))
SUM = helper.make_node("MatMul", ["s", "w"], ["y"])
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "other classes": (model, {"classes": 4}, r"row of 4 numbers \(classes\).*y tensor\(float\) \('batch', 3"),
    "a softmax": (lambda: model(*SOFTMAX), {}, "comes out of a softmax: say gives='probabilities'"),
    "no probabilities": (model, {"gives": "probabilities"}, "does not hold probabilities"),
    "two inputs": (lambda: model(SUM, more_inputs=["s"]), {}, r"has 2 \(x tensor\(float\).*, s"),
    "tokens": (
        lambda: model(helper.make_node("Cast", ["x"], ["s"], to=TensorProto.FLOAT), SUM, kind=TensorProto.INT64),
        {}, r"takes tensor\(int64\); samples are floating-point",
    ),
    "two outputs": (lambda: model(*TWICE, outputs=TWO), {}, "Several outputs could be the answer .*name one"),
    "no such output": (model, {"output": "logits"}, "has no output 'logits'; it has y"),
    "another sample": (model, {"sample": (7,)}, r"shape \(6,\), and sample says \(7,\)"),
    "a batch inside": (
        lambda: model(*RESHAPE, weights={"w": WEIGHT, "s": np.array([1, 3])}), {}, r"fails on a batch of shape \(3, 6\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "changes", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, content: Callable[[], Any], changes: dict[str, Any], text: str) -> None:
    made = content()
    (tmp_path / "upload").write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    finding = inspect(tmp_path / "upload", FAMILY.model_copy(update=changes))
    assert len(finding.problems) == 1
    assert re.search(text, said(finding)), said(finding)


def test_one_of_several_outputs_can_be_named(tmp_path: Path) -> None:
    content = model(*TWICE, outputs=TWO)
    answer = network(tmp_path / "upload", content, Onnx(classes=3, output="z"))(torch.ones(1, 6))
    torch.testing.assert_close(answer[0], torch.from_numpy(WEIGHT.sum(0)).relu())


def test_open_axes_are_tried_with_the_sample_that_is_told(tmp_path: Path) -> None:
    content = model(inputs=("batch", "features"))
    (tmp_path / "upload").write_bytes(content.SerializeToString())
    assert not inspect(tmp_path / "upload", FAMILY).problems
    assert not inspect(tmp_path / "upload", Onnx(classes=3, sample=(6,))).problems
    assert "fails on a batch of shape (1, 5)" in said(inspect(tmp_path / "upload", Onnx(classes=3, sample=(5,))))


def test_what_a_registration_may_not_say(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(model().SerializeToString())
    assert "leave key_map out" in said(inspect(tmp_path / "upload", FAMILY, {"a": "b"}))
    assert not inspect(tmp_path / "upload", FAMILY, max_parameters=18).problems
    assert "18 parameters; this service takes up to 17" in said(inspect(tmp_path / "upload", FAMILY, max_parameters=17))
    assert "register it as {kind: onnx" in said(inspect(tmp_path / "upload", MLP))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_worker_without_onnx_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    (tmp_path / "upload").write_bytes(model().SerializeToString())
    monkeypatch.setitem(sys.modules, package, None)
    assert said(inspect(tmp_path / "upload", FAMILY)).endswith("install stillhouse[onnx].")


def taught_by(folder: Path, content: bytes, family: Onnx = FAMILY, **settings: Any) -> Path:
    """Lay out a job whose teacher is an ONNX model."""
    make(folder, **settings)
    (folder / "inputs" / "teacher.safetensors").unlink()
    (folder / "inputs" / "teacher.onnx").write_bytes(content)
    job = json.loads((folder / "job.json").read_text())
    job["teachers"] = [{"path": "inputs/teacher.onnx", "architecture": family.model_dump(mode="json")}]
    (folder / "job.json").write_text(json.dumps(job))
    return folder


def test_a_whole_job(tmp_path: Path, run_here: RunHere, lay_out: Callable[[Path], Bench]) -> None:
    folder = taught_by(tmp_path, model().SerializeToString())
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    inputs, _ = blobs(120)
    assert report.teacher.agreement == 1
    assert (report.teacher.parameters, report.teacher.bytes, report.teacher.flops) == (18, 72, None)
    assert report.teacher.latency_ms > 0
    assert report.student.flops
    assert "onnxruntime" in report.versions
    assert (folder / "out" / "student.safetensors").exists()
    stored = [load_file(path)["logits"].numpy() for path in (folder / "cache").glob("*-*.safetensors")]
    bench = lay_out(folder)
    for found, part in zip(sorted(stored, key=len), ("validation", "train"), strict=True):
        expected = inputs[bench.transfer_set.rows[part]] @ WEIGHT
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "settings", "code", "text"),
    [
        (b"\x08nonsense", {}, FailureCode.INVALID_WEIGHTS, "The teacher cannot be run. The file is not"),
        (
            model(inputs=("batch", 5), weights={"w": WEIGHT[:5]}).SerializeToString(), {},
            FailureCode.INVALID_SPEC, r"The teacher does not take .* shape is \(6,\): The model fails",
        ),
    ],
)  # fmt: skip
def test_teachers_that_a_job_cannot_use(
    tmp_path: Path, run_here: RunHere, content: bytes, settings: dict[str, Any], code: FailureCode, text: str
) -> None:
    with pytest.raises(EngineFailure, match=text) as failure:
        run_here(taught_by(tmp_path, content, **settings))
    assert failure.value.code is code


def test_a_teacher_that_fails_later_is_named(tmp_path: Path, run_here: RunHere) -> None:
    inputs = np.zeros((120, 6), np.float32)
    inputs[60:] = 5  # sums to 1 only for the first rows
    family = Onnx(classes=3, gives="probabilities")
    thirds = {"w": np.full((6, 3), 0.1, np.float32), "b": np.full(3, 1 / 3, np.float32)}
    content = model(LINEAR_TO_Z, helper.make_node("Add", ["z", "b"], ["y"]), weights=thirds)
    with pytest.raises(EngineFailure, match=r"The teacher does not answer\. The output does not hold") as failure:
        run_here(taught_by(tmp_path, content.SerializeToString(), family, inputs=inputs))
    assert failure.value.code is FailureCode.INVALID_WEIGHTS


def test_safetensors_are_not_onnx(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "upload")
    assert "looks like a safetensors file" in said(inspect(tmp_path / "upload", FAMILY))


def test_only_what_was_looked_through_is_run(tmp_path: Path) -> None:
    content = copy.deepcopy(model())
    content.training_info.add().initialization.CopyFrom(branch("t", outside(numpy_helper.from_array(WEIGHT, "t"))))
    (tmp_path / "upload").write_bytes(content.SerializeToString() + b"\xfa\x7f\x03abc")  # and a field of its own
    read = onnx_file.read(tmp_path / "upload")
    assert b"/etc/passwd" not in read.content
    torch.testing.assert_close(Network(FAMILY, read, 1)(torch.ones(1, 6))[0], torch.from_numpy(WEIGHT.sum(0)))
