"""Stages: trainings before the main one, through which the student and its losses go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from app.contract.events import Run
from app.contract.report import Report
from app.contract.spec import JobSpec
from tests.engine.folders import RESNET, SMALL_RESNET, make, of_type
from tests.engine.test_resume import stopped_at, student_of
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure
from worker.engine.run import TrainingRun
from worker.engine.training.outcome import Outcome

RunHere = Callable[[Path], None]
LayOut = Callable[[Path], Bench]
Trained = list[tuple[TrainingRun, Outcome]]
"""What each lesson was, and what it left."""
HINT: dict[str, Any] = {"kind": "hint", "layers": [{"teacher": "stage:1", "student": "stage:1"}]}
HINTS: dict[str, Any] = {"name": "hints", "objective": [HINT], "epochs": 1}
REGRESSOR: dict[str, Any] = {"name": "regressor", "objective": [HINT], "epochs": 2, "trains": "terms"}
NETWORKS: dict[str, Any] = {"teacher": RESNET, "student": SMALL_RESNET}
TRAINING: dict[str, Any] = {"epochs": 2, "checkpoint_seconds": 0, "batch_size": 32}


def staged(folder: Path, *stages: dict[str, Any], **spec: Any) -> Path:
    return make(folder, **NETWORKS, training=TRAINING, spec={"stages": list(stages), **spec})


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_student_and_what_losses_learnt_go_on(
    tmp_path: Path, run_here: RunHere, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    train = TrainingRun.train

    def begin(self: TrainingRun) -> Any:
        assert self.state.step == 0
        assert not self.state.optimizer.state
        begun.append((self.state.weights(), self.state.learnt()))
        return train(self)

    monkeypatch.setattr(TrainingRun, "train", begin)
    last = [HINT, {"kind": "soft_target"}]
    run_here(
        staged(tmp_path, HINTS, {"name": "soft", "objective": [{"kind": "soft_target"}], "epochs": 1}, objective=last)
    )
    assert [run.lesson.name for run, _ in trained] == ["student.hints", "student.soft", "student", "control"]
    first, second, main, control = [outcome for _, outcome in trained]
    assert equal(begun[1][0], first.weights)
    assert equal(begun[2][0], second.weights)
    assert equal(begun[2][1], first.learnt)  # from before the stage that had no such loss
    assert equal(begun[3][0], begun[0][0])  # the control begins where the student began
    assert not equal(begun[1][0], begun[0][0])
    assert equal(load_file(tmp_path / "out" / "student.safetensors"), main.weights)
    assert not control.learnt


def test_a_frozen_student_moves_in_nothing(
    tmp_path: Path, run_here: RunHere, trained: Trained, lay_out: LayOut
) -> None:
    run_here(staged(tmp_path / "frozen", REGRESSOR))
    fresh = (bench := lay_out(staged(tmp_path / "fresh"))).training_run(bench.lessons(Run.STUDENT)[-1])
    run, outcome = trained[0]
    # Weights, and running statistics of batch norms.
    assert equal(outcome.weights, fresh.state.weights())
    assert not run.state.network.training
    assert run.state.curves.series()["loss"].values[0] > run.state.curves.series()["loss"].values[-1]
    # The control has only the steps in which the student learns.
    assert [one.plan.steps for one, _ in trained] == [8, 8, 8]


def test_the_control_has_as_many_steps_as_all_that_train_the_student(
    tmp_path: Path, run_here: RunHere, trained: Trained
) -> None:
    run_here(staged(tmp_path, REGRESSOR, HINTS))
    assert [(run.lesson.name, run.state.step) for run, _ in trained] == [
        ("student.regressor", 8), ("student.hints", 4), ("student", 8), ("control", 12)
    ]  # fmt: skip


def test_order_and_views_go_on_and_schedules_start_anew(tmp_path: Path, lay_out: LayOut) -> None:
    noise = {"augmentation": [{"kind": "noise", "std": 0.1}]}
    bench = lay_out(staged(tmp_path, HINTS, {**HINTS, "name": "more", "epochs": 2}, **noise))
    runs = [bench.training_run(lesson) for lesson in bench.lessons(Run.STUDENT)]
    assert [run.view for run in runs] == [1, 2, 4]
    first, _, last = [next(iter(run.plan.rest_of_epoch(0, 0))) for run in runs]
    assert not torch.equal(first, last)
    assert [run.plan.position(0).epoch for run in runs] == [0, 0, 0]
    assert len({run.lesson.seed(0) for run in runs}) == 3


def test_events_and_report_name_the_stage(tmp_path: Path, run_here: RunHere) -> None:
    run_here(staged(tmp_path, HINTS, REGRESSOR))
    steps = of_type(tmp_path, "step")
    order = [("student", "hints"), ("student", "regressor"), ("student", None), ("control", None)]
    assert list(dict.fromkeys((step.run, step.stage) for step in steps)) == order
    ends = [max(step.progress for step in steps if (step.run, step.stage) == one) for one in order]
    assert ends == pytest.approx([4 / 32, 12 / 32, 20 / 32, 1])
    assert [step.progress for step in steps] == sorted(step.progress for step in steps)
    report = report_of(tmp_path)
    names = ["student.hints", "student.regressor", "student", "control"]
    assert list(report.curves) == list(report.training_seconds) == names
    assert set(report.curves["student.hints"]) >= {"loss", "loss/hint", "validation/accuracy"}
    assert "the stage `" in (tmp_path / "out" / "README.md").read_text()
    kinds = {event.type: event.stage for event in of_type(tmp_path, "evaluation")[:1]}
    assert kinds == {"evaluation": "hints"}


# An epoch has 4 steps and 2 looks at the validation part: 1 epoch of the first stage, 2 of the second, 2 of the main
# training, which begins with the teacher's pass.
@pytest.mark.parametrize("check", [2, 5, 7, 10, 13, 18, 24])
def test_stopped_in_any_stage_the_student_is_bit_identical(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    given = {"control": False, "objective": [{"kind": "soft_target"}, HINT]}
    whole, cut = (staged(tmp_path / name, HINTS, REGRESSOR, **given) for name in ("whole", "cut"))
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert student_of(cut) == student_of(whole)
    assert of_type(cut, "resumed") or check == 2
    told = [[(step.run, step.stage, step.step) for step in of_type(folder, "evaluation")] for folder in (whole, cut)]
    assert told[0] == told[1]


def test_killed_between_stages_the_finished_one_is_not_trained_again(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"control": False}
    whole, cut = (staged(tmp_path / name, HINTS, **given) for name in ("whole", "cut"))
    run_here(whole)
    save = Bench.training_run

    def die(self: Bench, lesson: Any, *rest: Any) -> TrainingRun:
        if lesson.stage is None:
            raise KeyboardInterrupt
        return save(self, lesson, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Bench, "training_run", die)
        with pytest.raises(KeyboardInterrupt):
            run_here(cut)
    before = len([event for event in of_type(cut, "step") if event.stage])
    run_here(cut)
    assert len([event for event in of_type(cut, "step") if event.stage]) == before
    assert student_of(cut) == student_of(whole)


def test_each_generation_goes_through_the_stages(tmp_path: Path, run_here: RunHere) -> None:
    run_here(staged(tmp_path, HINTS, generations=2, control=False))
    names = ["generation_1.hints", "generation_1", "student.hints", "student"]
    assert list(report_of(tmp_path).curves) == names
    assert of_type(tmp_path, "step")[-1].progress == pytest.approx(1)


def test_a_loss_whose_shapes_changed_starts_afresh_and_says_so(tmp_path: Path, run_here: RunHere) -> None:
    other = {"kind": "hint", "layers": [{"teacher": "stage:2", "student": "stage:2"}]}
    run_here(staged(tmp_path, HINTS, objective=[other], control=False))
    assert "starts afresh" in of_type(tmp_path, "notice")[0].text


def test_what_cannot_be_trained_is_known_before_the_first_stage(tmp_path: Path, run_here: RunHere) -> None:
    missing = {**HINT, "layers": [{"teacher": "stage:9", "student": "stage:1"}]}
    with pytest.raises(EngineFailure, match="stage:9"):
        run_here(staged(tmp_path / "tap", HINTS, objective=[missing]))
    assert not of_type(tmp_path / "tap", "step")
    idle = {"name": "idle", "objective": [{"kind": "attention_transfer"}], "epochs": 1, "trains": "terms"}
    with pytest.raises(EngineFailure, match="'idle' trains nothing"):
        run_here(staged(tmp_path / "idle", HINTS, idle))
    assert not of_type(tmp_path / "idle", "step")


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([HINTS, HINTS], "two stages are named 'hints'"),
        ([{**HINTS, "name": "Hints!"}], "pattern"),
        ([{**HINTS, "objective": []}], "no terms"),
        ([{**HINTS, "objective": [{**HINT, "weight": 0}]}], "weights sum to 0"),
        ([{**HINTS, "objective": [{"kind": "soft_target"}], "trains": "terms"}], "none of these terms learns"),
    ],
)
def test_stages_that_make_no_sense_are_refused(tmp_path: Path, stages: list[dict[str, Any]], words: str) -> None:
    spec = json.loads((make(tmp_path, **NETWORKS) / "job.json").read_text())["spec"]
    with pytest.raises(ValidationError, match=words):
        JobSpec.model_validate({**spec, "stages": stages})
