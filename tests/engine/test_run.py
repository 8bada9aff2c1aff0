"""The loop: what it must do, and the mistakes that it must not make."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.contract.events import Run
from app.contract.states import FailureCode, StopReason
from tests.engine.folders import LSTM, SMALL_LSTM, make, of_type
from worker.engine import bench as benches
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure
from worker.engine.run import TrainingRun

RunHere = Callable[[Path], None]
LayOut = Callable[[Path], Bench]


def student_run(bench: Bench) -> TrainingRun:
    return bench.training_run(bench.lessons(Run.STUDENT)[-1])


def test_the_teacher_is_untouched_and_the_student_back_in_train_mode(tmp_path: Path, lay_out: LayOut) -> None:
    folder = make(tmp_path, teacher=LSTM.model_copy(update={"dropout": 0.4}), student=SMALL_LSTM)
    bench = lay_out(folder)
    run = student_run(bench)
    before = {name: tensor.clone() for name, tensor in bench.teachers[0].network.state_dict().items()}
    modes = []
    run.state.network.register_forward_hook(lambda module, *_: modes.append(module.training))
    bench.teachers[0].network.register_forward_hook(lambda module, *_: modes.append(not module.training))
    run.train()
    assert all(torch.equal(tensor, before[name]) for name, tensor in bench.teachers[0].network.state_dict().items())
    assert all(parameter.grad is None for parameter in bench.teachers[0].network.parameters())
    assert not bench.teachers[0].network.training
    assert run.state.network.training
    # 7 steps and one evaluation an epoch, and the teacher's blocks of 64 once; the student evaluates in eval mode.
    assert modes.count(False) == 4
    assert len(modes) == 4 * (7 + 1) + (2 + 1)


def test_soft_targets_cost_one_teacher_pass(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(make(tmp_path))
    seen = []
    bench.teachers[0].network.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    student_run(bench).train()
    assert sum(seen) == 120


def test_a_long_teacher_pass_tells_how_far_it_is(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.run._TOLD_SECONDS", 0.0)
    folder = make(tmp_path)
    run_here(folder)
    told = [(event.run, event.samples, event.of) for event in of_type(folder, "teacher_pass")]
    assert told == [(Run.STUDENT, 64, 108), (Run.STUDENT, 108, 108)]


def gradients(folder: Path, lay_out: LayOut, accumulation: int) -> list[torch.Tensor]:
    labels = np.array([0, -1, 2, 1, -1, -1, 0, 1])
    inputs = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
    kinds = ("soft_target", "hard_target", "logit_mse", "annealed_target", "pseudo_label")
    objective: list[dict[str, object]] = [{"kind": kind} for kind in kinds]
    objective += [{"kind": "soft_target", "on": "unlabelled"}, {"kind": "logit_mse", "on": "labelled"}]
    training = {
        "epochs": 1,
        "batch_size": 8,
        "accumulation": accumulation,
        "optimizer": {"kind": "sgd", "learning_rate": 1.0, "momentum": 0},
    }
    student = {"architecture": {"kind": "mlp", "inputs": 6, "hidden": [4], "classes": 3}}
    make(
        folder,
        inputs=inputs,
        labels=labels,
        training=training,
        spec={"objective": objective, "student": student},
        transfer_set={"splits": {"validation": 0}},
    )
    bench = lay_out(folder)
    run = student_run(bench)
    before = [parameter.detach().clone() for parameter in run.state.network.parameters()]
    run.train()
    return [old - new.detach() for old, new in zip(before, run.state.network.parameters(), strict=True)]


def test_eight_by_one_and_two_by_four_have_equal_gradients(tmp_path: Path, lay_out: LayOut) -> None:
    whole = gradients(tmp_path / "1", lay_out, 1)
    assert all(gradient.any() for gradient in whole)
    for accumulation in (2, 3, 4, 8):
        for cut, expected in zip(gradients(tmp_path / str(accumulation), lay_out, accumulation), whole, strict=True):
            torch.testing.assert_close(cut, expected, rtol=1e-5, atol=1e-6)


def test_an_exploding_loss_names_step_and_term_and_is_never_kept(tmp_path: Path, run_here: RunHere) -> None:
    training = {
        "epochs": 6,
        "log_every": 4,
        "checkpoint_seconds": 0,
        "optimizer": {
            "kind": "sgd",
            "momentum": 0,
            "learning_rate": {"kind": "step", "start": 0.1, "factor": 1e30, "milestones": [3]},
        },
    }
    objective = [{"kind": "soft_target"}, {"kind": "logit_mse"}]
    folder = make(tmp_path, training=training, spec={"objective": objective})
    with pytest.raises(EngineFailure, match=r"At step 2[34] the term (soft_target|logit_mse) became") as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.NON_FINITE_LOSS
    kept = sorted((folder / "checkpoints").glob("*.safetensors"))
    assert kept
    assert all(torch.isfinite(tensor.double()).all() for path in kept for tensor in load_file(path).values())
    assert not (folder / "out").exists()


def test_early_stopping_keeps_the_best_student(tmp_path: Path, run_here: RunHere) -> None:
    # The learning rate jumps at epoch 3: from there on the student only gets worse.
    rate = {"kind": "step", "start": 0.05, "factor": 1000.0, "milestones": [3]}
    training = {
        "epochs": 30,
        "optimizer": {"kind": "sgd", "momentum": 0, "learning_rate": rate},
        "early_stopping": {"patience": 2, "monitor": "loss"},
    }
    folder = make(tmp_path, training=training, spec={"objective": [{"kind": "soft_target"}]})
    run_here(folder)
    losses = [event.metrics["loss"] for event in of_type(folder, "evaluation") if event.run is Run.STUDENT]
    report = json.loads((folder / "out" / "report.json").read_text())
    assert len(losses) == 5
    assert report["stop_reason"] == "early_stop"
    assert report["best_epoch"] == losses.index(min(losses)) == 2
    assert report["student"]["kl_to_teacher"] < 0.5
    assert of_type(folder, "finished")[0].stop_reason is StopReason.EARLY_STOP


def test_schedules_are_looked_up_at_the_step(tmp_path: Path, run_here: RunHere) -> None:
    rate = {"kind": "linear", "start": 1.0, "end": 0.0, "warmup": 1.0, "warmup_from": 0.5}
    training = {"epochs": 3, "log_every": 1, "optimizer": {"kind": "sgd", "learning_rate": rate}, "clip_norm": 0.1}
    folder = make(tmp_path, training=training)
    run_here(folder)
    rates = [event.metrics["learning_rate"] for event in of_type(folder, "step") if event.run is Run.STUDENT]
    # 7 steps an epoch: half an epoch of warm-up by step 3.5, then a line down over two epochs.
    expected = [0.5 + 0.5 * step / 7 for step in range(7)] + [1 - step / 14 for step in range(14)]
    assert rates == pytest.approx(expected)


def test_the_teacher_fades_by_its_weight(tmp_path: Path, run_here: RunHere) -> None:
    """Teacher annealing on weights: soft targets from 1 to 0, labels from 0 to 1."""
    terms = [
        {"kind": "soft_target", "weight": {"kind": "linear", "start": 1, "end": 0}},
        {"kind": "hard_target", "weight": {"kind": "linear", "start": 0, "end": 1}},
    ]
    folder = make(tmp_path, training={"epochs": 3, "log_every": 1}, spec={"objective": terms, "control": False})
    run_here(folder)
    found = [event.metrics for event in of_type(folder, "step")]
    assert found[0]["loss"] == found[0]["loss/soft_target"]
    expected = [
        (1 - step / 21) * metrics["loss/soft_target"] + step / 21 * metrics["loss/hard_target"]
        for step, metrics in enumerate(found)
    ]
    assert [metrics["loss"] for metrics in found] == pytest.approx(expected, rel=1e-5)


def test_clipping_bounds_the_step(tmp_path: Path, lay_out: LayOut) -> None:
    training = {
        "epochs": 1,
        "batch_size": 108,
        "clip_norm": 1e-3,
        "optimizer": {"kind": "sgd", "learning_rate": 1.0, "momentum": 0},
    }
    bench = lay_out(make(tmp_path, training=training))
    run = student_run(bench)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in run.state.network.parameters()])
    run.train()
    after = torch.cat([parameter.detach().flatten() for parameter in run.state.network.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=0.01)


def test_every_epoch_sees_each_sample_once_in_an_order_of_its_own(tmp_path: Path, lay_out: LayOut) -> None:
    plan = lay_out(make(tmp_path)).plan
    orders = [torch.cat(list(plan.rest_of_epoch(epoch, epoch * plan.steps_per_epoch))) for epoch in range(2)]
    assert all(torch.equal(order.sort().values, plan.rows_N) for order in orders)
    assert not torch.equal(*orders)
    rest = torch.cat(list(plan.rest_of_epoch(1, plan.steps_per_epoch + 3)))
    assert torch.equal(rest, orders[1][3 * 16 :])


def test_without_shuffling_the_order_is_the_files(tmp_path: Path, lay_out: LayOut) -> None:
    plan = lay_out(make(tmp_path, training={"shuffle": False})).plan
    assert torch.equal(torch.cat(list(plan.rest_of_epoch(0, 0))), plan.rows_N)


def test_student_and_control_start_alike_and_have_the_same_budget(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[TrainingRun, dict[str, torch.Tensor]]] = []
    laid = Bench.training_run

    def watched(self: Bench, *arguments: object) -> TrainingRun:
        run = laid(self, *arguments)  # type: ignore[arg-type]
        runs.append((run, run.state.weights()))
        return run

    monkeypatch.setattr(benches.Bench, "training_run", watched)
    labels = np.full(120, -1)
    labels[:30] = np.arange(30) % 3
    run_here(make(tmp_path, labels=labels))
    (student, student_start), (control, control_start) = runs
    assert all(torch.equal(student_start[name], control_start[name]) for name in student_start)
    assert student.state.step == control.state.step == student.plan.steps == control.plan.steps == 28
    assert [term.kind for term in control.objective.terms] == ["hard_target"]  # type: ignore[attr-defined]
    drawn = torch.cat(list(control.plan.rest_of_epoch(0, 0)))
    assert len(drawn) == 7 * 16
    assert set(drawn.tolist()) == {row for row in student.plan.rows_N.tolist() if labels[row] >= 0}
    assert all(len(batch) == 16 for batch in control.plan.rest_of_epoch(1, 7))
