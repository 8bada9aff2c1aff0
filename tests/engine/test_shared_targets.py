"""Jobs that share soft targets: one teacher pass, and the student of a job that had nobody to share with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.report import Report, SoftTargetUse
from app.contract.soft_targets import key_of
from app.contract.states import Phase
from tests.engine.folders import make, of_type, read_job
from worker.engine.bench import Bench

RunHere = Callable[[Path], None]
LayOut = Callable[[Path], Bench]
SHARED = {"targets_folder": "../shared"}


def sweep(folder: Path, temperature: float, **more: Any) -> Path:
    objective = [{"kind": "soft_target", "temperature": temperature}, {"kind": "hard_target"}]
    return make(folder, spec={"objective": objective, "control": False}, **more)


def phases(folder: Path) -> list[Phase]:
    return [event.phase for event in of_type(folder, "phase")]


def use(folder: Path) -> SoftTargetUse:
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.soft_targets
    return report.soft_targets


def test_a_sweep_pays_one_teacher_pass_and_gives_the_students_of_undisturbed_jobs(
    tmp_path: Path, run_here: RunHere
) -> None:
    first = sweep(tmp_path / "first", 1.0, **SHARED)
    second = sweep(tmp_path / "second", 4.0, training={"batch_size": 10}, **SHARED)
    alone = sweep(tmp_path / "alone", 4.0, training={"batch_size": 10})
    for folder in (first, second, alone):
        run_here(folder)
    assert Phase.TEACHER_PASS in phases(first)
    assert Phase.TEACHER_PASS not in phases(second)
    assert (use(first), use(second)) == (
        SoftTargetUse(computed=120, reused=0), SoftTargetUse(computed=0, reused=120),
    )  # fmt: skip
    [notice] = of_type(second, "notice")
    assert "come from an earlier job: the teacher need not look at 108 samples" in notice.text
    students = [(folder / "out" / "student.safetensors").read_bytes() for folder in (second, alone)]
    assert students[0] == students[1]
    assert {path.suffix for path in (tmp_path / "shared").iterdir()} == {".safetensors"}


def test_views_that_come_again_are_shared_and_fresh_ones_are_counted(tmp_path: Path, run_here: RunHere) -> None:
    augmentation = [{"kind": "noise", "std": 0.3}]
    found = {}
    for name, views in (("one", {"kind": "fixed", "count": 2}), ("two", {"kind": "fixed", "count": 2}),
                        ("fresh", {"kind": "fresh"})):  # fmt: skip
        folder = make(tmp_path / name, spec={"augmentation": augmentation, "views": views, "control": False}, **SHARED)
        run_here(folder)
        found[name] = use(folder)
    assert found["one"] == SoftTargetUse(computed=2 * 108 + 12, reused=0)
    assert found["two"] == SoftTargetUse(computed=0, reused=2 * 108 + 12)
    assert found["fresh"] == SoftTargetUse(computed=4 * 108, reused=12)


def test_targets_of_another_machine_are_named(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.engine import bench

    with monkeypatch.context() as patch:
        patch.setattr(bench.surroundings, "exactness", lambda *_: "another processor")
        run_here(sweep(tmp_path / "there", 1.0, **SHARED))
    here = sweep(tmp_path / "here", 1.0, **SHARED)
    run_here(here)
    assert use(here).computed == 0
    assert any("made on another processor" in notice.text for notice in of_type(here, "notice"))


OTHERS: list[dict[str, Any]] = [
    {"teachers": [{"sha256": "2" * 64}]},
    {"teachers": [{"class_names": ["a", "b", "c"]}]},
    {"teachers": [{"key_map": {"a": "b"}}]},
    {"transfer_set": {"sha256": "3" * 64}},
    {"transfer_set": {"splits": {"seed": 1}}},
    {"transfer_set": {"format": {"kind": "tensors", "inputs": "x"}}},
    {"spec": {"seed": 1}},
    {"spec": {"augmentation": [{"kind": "noise", "std": 0.2}]}},
]
ALIKE: list[dict[str, Any]] = [
    {"spec": {"training": {"batch_size": 3, "epochs": 1}}},
    {"spec": {"objective": [{"kind": "logit_mse"}]}},
    {"teachers": [{"weight": 7.0, "path": "elsewhere"}]},
    {"threads": 2},
]


def changed(content: Any, change: Any) -> Any:
    if isinstance(content, list):
        return [changed(*pair) for pair in zip(content, change, strict=True)] if content else change
    if not isinstance(content, dict):
        return change
    return {**content, **{name: changed(content.get(name), value) for name, value in change.items()}}


def keys(tmp_path: Path, change: dict[str, Any]) -> tuple[str, str]:
    content = json.loads((tmp_path / "job.json").read_text())
    known = {
        "teachers": [{"sha256": "0" * 64}],
        "transfer_set": {"sha256": "1" * 64},
        "spec": {"augmentation": [{"kind": "noise", "std": 0.1}], "seed": 0},
    }
    (tmp_path / "job.json").write_text(json.dumps(changed(changed(content, known), change)))
    job = read_job(tmp_path)
    return key_of(job, 0, "train"), key_of(job, 1, "train")


@pytest.mark.parametrize("change", [*OTHERS, *ALIKE], ids=str)
def test_the_key_names_everything_that_matters_and_nothing_else(tmp_path: Path, change: dict[str, Any]) -> None:
    base = make(tmp_path / "base")
    other = make(tmp_path / "other")
    plain, view = keys(base, {})
    other_plain, other_view = keys(other, change)
    assert (view == other_view) == (change in ALIKE)
    assert (plain == other_plain) == (change in ALIKE or "spec" in change)  # steps and seed make augmented views only
