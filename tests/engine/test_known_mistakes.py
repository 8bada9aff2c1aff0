"""Mistakes found in the libraries people use today, one after another, as the first tier of methods could make them.

Elsewhere: a loss that becomes NaN names step and term, and its checkpoint is not kept (`test_run`); formulas in closed
form and gradients at saturation (`test_objectives`); the teacher of a later generation (`test_generations`).
"""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from app.contract.events import Run
from app.contract.objectives import HardTarget, LogitMse, PseudoLabel, SoftTarget, Term
from tests.engine.folders import MLP, RESNET, SMALL_RESNET, blobs, make, of_type
from tests.engine.texts import make_text_job, pieces, sentences
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.run import TrainingRun
from worker.engine.terms.batch import Batch, Position

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]


def student_run(bench: Bench) -> TrainingRun:
    return bench.training_run(bench.lessons(Run.STUDENT)[-1])


def value(term: Term, student_BC: Tensor, teacher_BC: Tensor | None = None, labels_B: Tensor | None = None) -> Tensor:
    labels_B = torch.full((len(student_BC),), -1) if labels_B is None else labels_B
    found = Batch(student_BC, teacher_BC, labels_B, len(student_BC), int((labels_B >= 0).sum()), Position(0, 1))
    loss, _ = build.objective([term])(found)
    return loss


def logits(seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    student_BC, teacher_BC = 3 * torch.randn(2, 5, 4, generator=draw, dtype=torch.float64)
    return student_BC, teacher_BC


# The teacher


@pytest.fixture
def modes() -> Any:
    """Every module that is called, and whether it was in train mode."""
    called: list[tuple[nn.Module, bool]] = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: called.append((module, module.training))
    )
    yield called
    hook.remove()


def test_a_teacher_left_in_train_mode(tmp_path: Path, lay_out: LayOut, modes: list[tuple[nn.Module, bool]]) -> None:
    """Not even for a batch of noise that is to find its shapes: batch normalisation would remember it."""
    folder = make(tmp_path, teacher=RESNET, student=SMALL_RESNET, training={"epochs": 2})
    stored = load_file(folder / "inputs" / "teacher.safetensors")
    bench = lay_out(folder)
    student_run(bench).train()
    teacher = bench.teachers[0].network
    own = set(teacher.modules())
    of_teacher = [training for module, training in modes if module in own]
    assert len(of_teacher) > 10
    assert not any(of_teacher)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in teacher.state_dict().items())


def test_gradients_that_flow_into_the_teacher(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(make(tmp_path, training={"epochs": 1}))
    run = student_run(bench)
    run.train()
    taught = list(bench.teachers[0].network.parameters())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in taught)
    trained = {id(tensor) for group in run.state.optimizer.param_groups for tensor in group["params"]}
    assert trained.isdisjoint(map(id, taught))


def test_a_teacher_that_is_the_student_object(tmp_path: Path, lay_out: LayOut) -> None:
    """Born again from one and the same file: it would teach whatever it has just become."""
    folder = make(tmp_path, student=MLP, training={"epochs": 1}, spec={"student": {"model": "mdl_" + "0" * 32}})
    content = json.loads((folder / "job.json").read_text())
    content["student"]["weights"] = {"path": "inputs/teacher.safetensors", "architecture": MLP.model_dump()}
    (folder / "job.json").write_text(json.dumps(content))
    bench = lay_out(folder)
    run = student_run(bench)
    before = run.state.weights()
    run.train()
    teacher = bench.teachers[0].network.state_dict()
    assert all(torch.equal(teacher[name], tensor) for name, tensor in before.items())
    assert not any(torch.equal(teacher[name], tensor) for name, tensor in run.state.network.state_dict().items())


# The student


def test_a_student_left_in_eval_mode_after_its_first_evaluation(
    tmp_path: Path, lay_out: LayOut, modes: list[tuple[nn.Module, bool]]
) -> None:
    run = student_run(lay_out(make(tmp_path, training={"epochs": 3})))
    run.train()
    of_student = [training for module, training in modes if module is run.state.network]
    epoch = [True] * run.plan.steps_per_epoch + [False]  # the steps, then one batch of evaluation
    assert of_student[-3 * len(epoch) :] == 3 * epoch
    assert run.state.network.training


# The divergence


def test_a_divergence_that_divides_by_the_classes() -> None:
    """Classes that nobody believes in must not make it smaller; twice the same batch must not change it."""
    student_BC, teacher_BC = logits()
    found = value(SoftTarget(temperature=2), student_BC, teacher_BC)
    nobody = torch.full((5, 4), -1e4, dtype=torch.float64)
    wider = value(SoftTarget(temperature=2), torch.cat([student_BC, nobody], 1), torch.cat([teacher_BC, nobody], 1))
    twice = value(SoftTarget(temperature=2), student_BC.repeat(2, 1), teacher_BC.repeat(2, 1))
    torch.testing.assert_close(wider, found)
    torch.testing.assert_close(twice, found)


def test_a_divergence_of_raw_logits() -> None:
    """A distribution does not change when all logits are shifted."""
    student_BC, teacher_BC = logits()
    found = value(SoftTarget(temperature=3), student_BC, teacher_BC)
    shifted = value(SoftTarget(temperature=3), student_BC + 7, teacher_BC - 11)
    torch.testing.assert_close(shifted, found)


def test_a_softmax_where_a_log_softmax_belongs() -> None:
    """Its logarithm is -inf at saturation, or was clipped; the true value is large, and known."""
    student_BC = torch.tensor([[1e4, -1e4]], requires_grad=True)
    found = value(SoftTarget(temperature=2), student_BC, torch.zeros(1, 2))
    assert found.item() == pytest.approx(4 * (0.5 * 1e4 - math.log(2)), rel=1e-5)
    (gradient,) = torch.autograd.grad(found, student_BC)
    torch.testing.assert_close(gradient, torch.tensor([[1.0, -1.0]]))  # T · (softmax(s / T) - softmax(t / T))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_forgotten_square_of_the_temperature(tmp_path: Path, lay_out: LayOut, temperature: float) -> None:
    terms = [{"kind": "soft_target", "temperature": temperature}, {"kind": "hard_target", "weight": 0}]
    spec = {"objective": terms, "student": {"architecture": MLP.model_dump()}}
    bench = lay_out(make(tmp_path, student=MLP, training={"epochs": 1, "log_every": 1}, spec=spec))
    run = student_run(bench)
    rows_B = next(run.plan.rest_of_epoch(0, 0))
    inputs = bench.transfer_set.samples.take(rows_B)
    student_BC, teacher_BC = (
        network(inputs).detach() / temperature for network in (run.state.network, bench.teachers[0].network)
    )
    p, q = teacher_BC.double().softmax(1), student_BC.double().softmax(1)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    run.train()
    first = of_type(tmp_path, "step")[0].metrics
    assert first["loss/soft_target"] == first["loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_a_square_of_the_temperature_that_goes_with_the_labels(tmp_path: Path, run_here: RunHere) -> None:
    """Soft targets do the same whether the labels are left out, weigh nothing, or are not there."""
    soft, students = {"kind": "soft_target", "temperature": 4}, []
    nothing = np.full(120, -1)
    part = {"split": np.arange(120) % 10 // 9}
    for name, terms, labels in (
        ("alone", [soft], blobs(120)[1]),
        ("weightless", [soft, {"kind": "hard_target", "weight": 0}], blobs(120)[1]),
        ("unlabelled", [soft, {"kind": "hard_target"}], nothing),
    ):
        folder = make(tmp_path / name, training={"epochs": 2}, spec={"objective": terms, "control": False})
        with (folder / "inputs" / "transfer_set").open("wb") as file:
            np.savez(file, inputs=blobs(120)[0], labels=labels, **part)
        run_here(folder)
        students.append(load_file(folder / "out" / "student.safetensors"))
    for other in students[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in students[0].items())


# Sequences and batches


def test_a_loss_that_grows_with_the_length_or_sees_the_padding(tmp_path: Path, lay_out: LayOut) -> None:
    texts, labels = sentences(12)
    texts = [text if row % 2 else f"{text} {' '.join(texts)}" for row, text in enumerate(texts)]
    rows = [{"text": text, "label": label, "split": "train"} for text, label in zip(texts, labels, strict=True)]
    bench = lay_out(
        make_text_job(
            tmp_path, rows=rows, training={"batch_size": 4}, read_by_teacher=pieces(), read_by_student=pieces(60)
        )
    )
    network, every = student_run(bench).state.network.eval(), torch.arange(len(texts))
    taught_BC = bench.teachers[0].network(bench.teacher_sights[0].plain(every)).detach()
    for term in (SoftTarget(), HardTarget(), LogitMse(), PseudoLabel()):

        def of(rows_B: Tensor, term: Term = term) -> Tensor:
            labels_B = bench.transfer_set.labels_N[rows_B] if term.kind == "hard_target" else None  # type: ignore[attr-defined]
            return value(term, network(bench.student_sight.plain(rows_B)), taught_BC[rows_B], labels_B)

        singly = torch.stack([of(every[row : row + 1]) for row in every])
        torch.testing.assert_close(of(every), singly.mean(), atol=1e-5, rtol=1e-4)


def test_micro_batches_whose_means_are_averaged() -> None:
    """A part with one label must not weigh as much as a part with three."""
    student_BC, _ = logits()
    labels_B = torch.tensor([0, -1, 1, 2, 3])
    whole = value(HardTarget(), student_BC, labels_B=labels_B)
    objective = build.objective([HardTarget()])
    parts = [slice(0, 2), slice(2, 5)]
    shares = [objective(Batch(student_BC[p], None, labels_B[p], 5, 4, Position(0, 1)))[0] for p in parts]
    torch.testing.assert_close(sum(shares), whole)
    naive = sum(value(HardTarget(), student_BC[p], labels_B=labels_B[p]) for p in parts) / 2
    assert not torch.allclose(torch.as_tensor(naive), whole)


# Cached soft targets


def another_teacher(folder: Path, _: dict[str, Any]) -> None:
    torch.manual_seed(99)
    save_file(build.network(MLP).state_dict(), folder / "inputs" / "teacher.safetensors")


def another_set(folder: Path, _: dict[str, Any]) -> None:
    inputs, labels = blobs(120, seed=5)
    with (folder / "inputs" / "transfer_set").open("wb") as file:
        np.savez(file, inputs=inputs, labels=labels)


def another_augmentation(_: Path, spec: dict[str, Any]) -> None:
    spec["augmentation"] = [{"kind": "noise", "std": 0.9}]


def another_order(_: Path, spec: dict[str, Any]) -> None:
    spec["training"]["shuffle"] = False


@pytest.mark.parametrize("change", [another_teacher, another_set, another_augmentation, another_order])
def test_targets_that_are_stale(
    tmp_path: Path, run_here: RunHere, change: Callable[[Path, dict[str, Any]], None]
) -> None:
    """Whatever an earlier job left in the cache, the student is that of a job with an empty one."""
    views = {"augmentation": [{"kind": "noise", "std": 0.1}], "views": {"kind": "fixed", "count": 2}}
    used, fresh = (
        make(tmp_path / name, training={"epochs": 2}, spec={**views, "control": False}) for name in ("used", "fresh")
    )
    run_here(used)
    for folder in (used, fresh):
        content = json.loads((folder / "job.json").read_text())
        change(folder, content["spec"])
        (folder / "job.json").write_text(json.dumps(content))
        shutil.rmtree(folder / "out", ignore_errors=True)
        run_here(folder)
    students = [load_file(folder / "out" / "student.safetensors") for folder in (used, fresh)]
    assert all(torch.equal(tensor, students[1][name]) for name, tensor in students[0].items())
