"""Features of teachers that are kept: computed once, and learnt from as if they were computed anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.contract.events import Run
from tests.engine.folders import RESNET, SMALL_RESNET, events, make
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.views.augmented import Look

TERMS = [{"kind": "hint", "layers": ["stage:1", "pooled"]}, {"kind": "soft_target"}]


def laid(folder: Path, **spec: Any) -> Path:
    settings = {"objective": TERMS, "control": False, **spec}
    return make(folder, teacher=RESNET, student=SMALL_RESNET, spec=settings, training={"epochs": 3})


def student(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "student.safetensors")


def test_kept_features_are_those_of_the_teacher(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    bench = lay_out(laid(tmp_path))
    features = bench.training_run(bench.lessons(Run.STUDENT)[-1]).teacher_features
    features.fill(0, lambda _: None)
    rows_B = torch.tensor([7, 3, 90])
    found = features.of(Look(rows_B))
    teacher = build.network(RESNET).eval()
    teacher.load_state_dict(bench.teachers[0].network.state_dict())
    seen: list[torch.Tensor] = []
    teacher.layer2.register_forward_hook(lambda *call: seen.append(call[-1]))  # type: ignore[union-attr]
    with torch.no_grad():
        teacher(bench.student_sight.plain(rows_B))
    torch.testing.assert_close(found[0, "stage:1"].value, seen[0], rtol=1e-3, atol=1e-3)
    assert found[0, "pooled"].value.shape == (3, 8)


@pytest.mark.parametrize("augmented", [False, True])
def test_keeping_features_spares_the_teacher(
    tmp_path: Path, run_here: Callable[[Path], None], augmented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = {"augmentation": [{"kind": "flip"}], "views": {"kind": "fixed", "count": 2}} if augmented else {}
    kept = laid(tmp_path / "kept", **views)
    live = laid(tmp_path / "live", soft_targets={"feature_bytes": 0}, **views)
    looks: dict[Path, int] = {}
    for folder in (kept, live):
        counted = count_passes(monkeypatch)
        run_here(folder)
        looks[folder] = counted["teacher"]
        monkeypatch.undo()
    assert looks[kept] < looks[live]
    for name, tensor in student(kept).items():
        torch.testing.assert_close(tensor, student(live)[name], rtol=0.02, atol=0.02)


def count_passes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    from worker.engine.teachers.teacher import Teacher
    from worker.engine.teachers.teacher_features import Ears

    counted, hear, logits = {"teacher": 0, "outputs alone": 0}, Ears.hear, Teacher.logits

    def answering(self: Teacher, inputs: Any) -> Any:
        counted["outputs alone"] += len(inputs)
        return logits(self, inputs)

    monkeypatch.setattr(Teacher, "logits", answering)

    def counting(self: Ears, look: Look) -> Any:
        counted["teacher"] += len(look.rows_B)
        return hear(self, look)

    monkeypatch.setattr(Ears, "hear", counting)
    return counted


def test_fresh_views_are_heard_anew_in_one_pass_for_outputs_and_features(
    tmp_path: Path, run_here: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = laid(tmp_path, augmentation=[{"kind": "noise", "std": 0.1}])
    counted = count_passes(monkeypatch)
    run_here(folder)
    looks = json.loads((folder / "cache" / "looks.json").read_bytes())["fresh"]
    assert counted["teacher"] >= looks[0] == 3 * 108
    assert counted["outputs alone"] <= 108 + 12  # evaluations, and a trial; never a batch of training
    assert not list((folder / "cache").glob("*.safetensors.partial"))
    assert [event.type for event in events(folder)][-1] == "finished"
