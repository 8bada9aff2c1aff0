"""Teachers whose classes are in another order, or more than the job needs: by name, never by position."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.contract.architectures import Mlp
from app.contract.report import Report
from tests.engine.folders import blobs, make
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]
NAMES = ("ant", "bee", "cat")
"""As the transfer set numbers them: sorted."""
OTHER = ("cat", "ant", "bee")
INPUTS, LABELS = blobs(60)


def network(classes: int) -> Mlp:
    return Mlp(inputs=6, hidden=(12,), classes=classes)


def head(names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return one teacher's weights, its outputs put in the order of these names."""
    every = (*NAMES, "dog", "elk")
    torch.manual_seed(3)
    weights = build.network(network(len(every))).state_dict()
    places = [every.index(name) for name in names]
    return {name: tensor[places].clone() if name.startswith("layers.1") else tensor for name, tensor in weights.items()}


def job(
    folder: Path,
    *teachers: tuple[str, ...],
    data: tuple[str | None, ...] | None = None,
    named: bool = True,
    **spec: Any,
) -> Path:
    """Lay out a job on a CSV file of names, or numbers where `data` is empty; its student has three classes."""
    student = spec.pop("student", {"architecture": network(3).model_dump()})
    form = {"kind": "table", "label": "label", "standardize": False}
    make(folder, student=network(3), spec={"student": student, **spec}, transfer_set={"format": form})
    words = [NAMES[label] for label in LABELS] if data is None else data
    with (folder / "inputs" / "transfer_set").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*map(str, range(6)), "label"])
        writer.writerows([*map(float, row), word] for row, word in zip(INPUTS, words or LABELS, strict=True))
    content = json.loads((folder / "job.json").read_text())
    content["teachers"] = []
    for place, names in enumerate(teachers):
        path = f"inputs/teacher-{place}.safetensors"
        save_file(head(names), folder / path)
        known = {"class_names": names if named else ()}
        content["teachers"].append({"path": path, "architecture": network(len(names)).model_dump(), **known})
    if len(teachers) > 1:
        members = [{"model": f"mdl_{place:032x}"} for place in range(len(teachers))]
        content["spec"]["teacher"] = {"members": members}
    (folder / "job.json").write_text(json.dumps(content))
    return folder


def said(bench: Bench) -> Tensor:
    return bench.targets.of_samples(torch.arange(60))


def test_a_teacher_in_another_order_teaches_the_same(tmp_path: Path, lay_out: LayOut, run_here: RunHere) -> None:
    same, other = job(tmp_path / "same", NAMES), job(tmp_path / "other", OTHER)
    expected = said(lay_out(same))
    torch.testing.assert_close(said(lay_out(other)), expected)
    assert not torch.allclose(said(lay_out(job(tmp_path / "unnamed", OTHER, named=False))), expected)
    for folder in (same, other):
        run_here(folder)
    reports = [Report.model_validate_json((folder / "out" / "report.json").read_bytes()) for folder in (same, other)]
    assert reports[0].teacher.accuracy == reports[1].teacher.accuracy
    students = [load_file(folder / "out" / "student.safetensors") for folder in (same, other)]
    for name, tensor in students[0].items():
        torch.testing.assert_close(students[1][name], tensor, atol=1e-4, rtol=1e-3)


def test_soft_targets_are_kept_apart_by_the_mapping(tmp_path: Path, lay_out: LayOut) -> None:
    jobs = {"alike": NAMES, "again": NAMES, "mapped": OTHER}
    keys = {name: lay_out(job(tmp_path / name, names)).targets_key(0) for name, names in jobs.items()}
    plain = lay_out(job(tmp_path / "plain", OTHER, named=False)).targets_key(0)
    assert keys["alike"] == keys["again"]
    assert len({keys["alike"], keys["mapped"], plain}) == 3


def test_a_teacher_of_more_classes_teaches_the_named_ones(tmp_path: Path, lay_out: LayOut) -> None:
    wide = ("elk", "cat", "dog", "bee", "ant")
    narrow, selected = said(lay_out(job(tmp_path / "a", NAMES))), said(lay_out(job(tmp_path / "b", wide)))
    torch.testing.assert_close(selected.softmax(1), narrow.softmax(1))
    with pytest.raises(EngineFailure, match="tells 5 classes apart and the student 3; they must be equal, or named"):
        lay_out(job(tmp_path / "c", wide, named=False))


def test_each_member_of_an_ensemble_has_its_own_order(tmp_path: Path, lay_out: LayOut) -> None:
    mixed = said(lay_out(job(tmp_path / "a", OTHER, NAMES, ("dog", "bee", "cat", "ant"))))
    alone = said(lay_out(job(tmp_path / "b", NAMES)))
    torch.testing.assert_close(mixed.softmax(1), alone.softmax(1))


def test_a_black_box_is_mapped_too(tmp_path: Path, lay_out: LayOut) -> None:
    weights = head(NAMES)
    folder = job(tmp_path / "onnx", OTHER)
    made = {name: numpy_helper.from_array(tensor.numpy(), name) for name, tensor in head(OTHER).items()}
    gemm = {"transB": 1}
    nodes = [
        helper.make_node("Gemm", ["x", "layers.0.weight", "layers.0.bias"], ["h"], **gemm),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "layers.1.weight", "layers.1.bias"], ["l"], **gemm),
        helper.make_node("Softmax", ["l"], ["y"], axis=1),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in (("x", 6), ("y", 3))
    ]
    graph = helper.make_graph(nodes, "teacher", ports[:1], ports[1:], list(made.values()))
    opset = [helper.make_opsetid("", 17)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    (folder / "inputs" / "teacher-0.safetensors").write_bytes(content)
    text = json.loads((folder / "job.json").read_text())
    text["teachers"][0]["architecture"] = {"kind": "onnx", "classes": 3, "gives": "probabilities"}
    (folder / "job.json").write_text(json.dumps(text))
    student = build.network(network(3)).eval()
    student.load_state_dict(weights)
    bench = lay_out(folder)
    inputs = bench.transfer_set.samples.take(torch.arange(60))
    with torch.inference_mode():
        torch.testing.assert_close(said(bench).softmax(1), student(inputs).softmax(1), atol=1e-5, rtol=1e-4)


def test_labels_follow_a_student_that_takes_over_its_teachers_head(tmp_path: Path, lay_out: LayOut) -> None:
    """Its outputs start as the teacher's, so labels and not logits are put in another order."""
    start = {"architecture": network(3).model_dump(), "initial": {"kind": "teacher_layers", "layers": {"": ""}}}
    bench = lay_out(job(tmp_path, OTHER, student=start))
    assert bench.transfer_set.class_names == OTHER
    assert bench.class_orders == [None]
    assert bench.transfer_set.labels_N.tolist() == [OTHER.index(NAMES[label]) for label in LABELS]


def test_a_file_with_some_of_the_classes_is_numbered_as_its_teacher(tmp_path: Path, lay_out: LayOut) -> None:
    words = tuple("bee" if label else None for label in LABELS)
    bench = lay_out(job(tmp_path, OTHER, data=words))
    assert bench.transfer_set.class_names == OTHER
    assert bench.transfer_set.labels_N.tolist() == [2 if word else -1 for word in words]


def test_numbers_are_the_teachers_own(tmp_path: Path, run_here: RunHere) -> None:
    run_here(job(tmp_path, OTHER, data=()))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["class_names"] == list(OTHER)


@pytest.mark.parametrize(
    ("teacher", "data", "text"),
    [
        (("ant", "Bees", "cat"), None, r"The teacher does not know the class 'bee' \(the nearest .* 'Bees'\)\."),
        (("x", "y", "z"), None, r"The teacher does not know the classes 'ant', 'bee', 'cat'\."),
        (NAMES, ("ant", "cow") * 30, r"The teacher does not know the class 'cow'\."),
    ],
)
def test_classes_that_are_not_known_are_named(
    tmp_path: Path, lay_out: LayOut, teacher: tuple[str, ...], data: tuple[str, ...] | None, text: str
) -> None:
    folder = job(tmp_path, NAMES, data=data)
    content = json.loads((folder / "job.json").read_text())
    content["teachers"][0]["class_names"] = teacher
    (folder / "job.json").write_text(json.dumps(content))
    with pytest.raises(EngineFailure, match=text):
        lay_out(folder)


def test_a_registered_student_keeps_its_order(tmp_path: Path, lay_out: LayOut) -> None:
    folder = job(tmp_path, NAMES)
    content = json.loads((folder / "job.json").read_text())
    content["student"]["class_names"] = OTHER
    (folder / "job.json").write_text(json.dumps(content))
    bench = lay_out(folder)
    assert (bench.transfer_set.class_names, bench.class_orders) == (OTHER, [(2, 0, 1)])
    assert bench.transfer_set.labels_N.tolist() == [OTHER.index(NAMES[label]) for label in LABELS]
    assert np.array_equal(np.unique(bench.transfer_set.labels_N), [0, 1, 2])
