"""Training in bfloat16: where it acts, what stays float32, and that its bits come again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.contract.architectures import Architecture
from app.contract.report import Report
from tests.engine.folders import LSTM, MLP, RESNET, SMALL_LSTM, SMALL_MLP, SMALL_RESNET, make
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.test_run import student_run
from worker.engine.bench import Bench

RunHere = Callable[[Path], None]
LayOut = Callable[[Path], Bench]
PAIRS = pytest.mark.parametrize(
    ("teacher", "student"),
    [(MLP, SMALL_MLP), (LSTM, SMALL_LSTM), (RESNET, SMALL_RESNET)],
    ids=["mlp", "lstm", "resnet"],
)


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


@PAIRS
def test_the_student_trains_in_bfloat16_and_everything_else_stays_float32(
    tmp_path: Path, lay_out: LayOut, teacher: Architecture, student: Architecture
) -> None:
    folder = make(tmp_path, teacher=teacher, student=student, training={"precision": "bf16", "epochs": 1})
    bench = lay_out(folder)
    run = student_run(bench)
    trained, evaluated, taught = set(), set(), set()
    run.state.network.register_forward_hook(
        lambda network, _inputs, logits_BC: (trained if network.training else evaluated).add(logits_BC.dtype)
    )
    bench.teachers[0].network.register_forward_hook(lambda *seen: taught.add(seen[-1].dtype))
    run.train()
    assert (trained, evaluated, taught) == ({torch.bfloat16}, {torch.float32}, {torch.float32})
    assert {parameter.dtype for parameter in run.state.network.parameters()} == {torch.float32}


@PAIRS
def test_an_interrupted_run_in_micro_batches_gives_the_same_student(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, teacher: Architecture, student: Architecture
) -> None:
    training = {"epochs": 2, "precision": "bf16", "accumulation": 2, "checkpoint_seconds": 0}
    whole, cut = (
        make(tmp_path / name, teacher=teacher, student=student, training=training, spec={"control": False})
        for name in ("whole", "cut")
    )
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, 11)
    run_here(cut)
    assert student_of(cut) == student_of(whole)
    assert report_of(whole).precision == "bf16"


def test_it_is_near_float32_and_not_the_same(tmp_path: Path, run_here: RunHere) -> None:
    students = {}
    for precision in ("fp32", "bf16"):
        folder = make(tmp_path / precision, training={"precision": precision}, spec={"control": False})
        run_here(folder)
        students[precision] = load_file(folder / "out" / "student.safetensors")
    for name, weights in students["fp32"].items():
        assert torch.allclose(weights, students["bf16"][name], atol=0.05), name
    assert any(not torch.equal(weights, students["bf16"][name]) for name, weights in students["fp32"].items())


def test_auto_is_what_it_reports(tmp_path: Path, run_here: RunHere) -> None:
    auto = make(tmp_path / "auto", training={"precision": "auto"}, spec={"control": False})
    run_here(auto)
    taken = report_of(auto).precision
    explicit = make(tmp_path / "explicit", training={"precision": taken}, spec={"control": False})
    run_here(explicit)
    assert student_of(auto) == student_of(explicit)
