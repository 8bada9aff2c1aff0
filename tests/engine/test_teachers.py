"""Ensembles, and what a student starts from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.contract.architectures import Architecture, Mlp
from app.contract.events import Run
from app.contract.report import Report
from tests.engine.folders import MLP, SMALL_MLP, blobs, make
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.data.samples import ArraySamples
from worker.engine.failures import EngineFailure
from worker.engine.teachers.teacher import Ensemble, Seat, Teacher
from worker.engine.views.augmented import Look
from worker.engine.views.sight import Sight

LayOut = Callable[[Path], Bench]
RunHere = Callable[[Path], None]
OTHER = Mlp(inputs=6, hidden=(5, 5), classes=3, activation="tanh")
STUDENT = {"architecture": SMALL_MLP.model_dump(), "initial": None}


def members(folder: Path, architectures: list[Architecture], weights: list[float]) -> list[dict[str, Any]]:
    """Write teachers beside the one that `make` wrote; return them for job.json."""
    written = []
    for place, (architecture, weight) in enumerate(zip(architectures, weights, strict=True)):
        torch.manual_seed(place)
        path = f"inputs/teacher-{place}.safetensors"
        save_file(build.network(architecture).state_dict(), folder / path)
        written.append({"path": path, "architecture": architecture.model_dump(), "weight": weight})
    return written


def ensemble_job(folder: Path, combine: str = "probabilities", weights: tuple[float, ...] = (3.0, 1.0)) -> Path:
    make(folder)
    content = json.loads((folder / "job.json").read_text())
    named = [{"model": f"mdl_{place:032x}", "weight": weight} for place, weight in enumerate(weights)]
    content["spec"]["teacher"] = {"members": named, "combine": combine}
    content["teachers"] = members(folder, [MLP, OTHER], list(weights))
    (folder / "job.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_an_ensemble_is_the_weighted_mean_of_its_members(
    tmp_path: Path, lay_out: LayOut, combine: Literal["probabilities", "logits"]
) -> None:
    bench = lay_out(ensemble_job(tmp_path, combine))
    inputs = torch.from_numpy(blobs(120)[0])
    said = [stored.network(inputs).detach().double() for stored in bench.teachers]
    found = bench.targets.of_samples(torch.arange(120)).double()
    if combine == "logits":
        expected = 0.75 * said[0] + 0.25 * said[1]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    else:
        mean = 0.75 * said[0].softmax(1) + 0.25 * said[1].softmax(1)
        torch.testing.assert_close(found.softmax(1), mean, atol=1e-6, rtol=1e-5)


def test_an_ensemble_of_saturated_teachers_stays_finite() -> None:
    linear = [torch.nn.Linear(2, 2, bias=False) for _ in range(2)]
    for place, layer in enumerate(linear):
        layer.weight.data = 1e4 * torch.eye(2)[place, :, None].expand(2, 2)
    sight = Sight(ArraySamples(torch.ones(4, 2)))
    ensemble = Ensemble([Seat(Teacher(layer), sight, 0.5) for layer in linear], "probabilities")
    found = ensemble.logits(Look(torch.arange(4)))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.softmax(1), torch.full((4, 2), 0.5))


def test_members_cost_together_and_each_weight_and_member_is_another_cache(
    tmp_path: Path, run_here: RunHere, lay_out: LayOut
) -> None:
    folder = ensemble_job(tmp_path / "a")
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.teacher.parameters == (MLP.size() + OTHER.size())
    assert report.teacher.agreement == 1.0
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert [teacher["weight"] for teacher in manifest["teachers"]] == [3.0, 1.0]
    keys = [
        lay_out(ensemble_job(tmp_path / name, combine, weights)).targets_key(0)
        for name, combine, weights in (
            ("b", "logits", (3.0, 1.0)), ("c", "probabilities", (1.0, 1.0)), ("d", "probabilities", (6.0, 2.0)),
        )
    ]  # fmt: skip
    mine = lay_out(folder).targets_key(0)
    assert keys[0] != mine
    assert keys[1] != mine
    assert keys[2] == mine  # the same shares


def test_an_ensemble_of_other_classes_is_refused(tmp_path: Path, lay_out: LayOut) -> None:
    folder = ensemble_job(tmp_path)
    content = json.loads((folder / "job.json").read_text())
    content["teachers"] = members(folder, [MLP, Mlp(inputs=6, classes=4)], [1.0, 1.0])
    (folder / "job.json").write_text(json.dumps(content))
    with pytest.raises(EngineFailure, match="teacher tells 4 classes apart and the student 3"):
        lay_out(folder)


def first_weights(bench: Bench) -> dict[str, torch.Tensor]:
    return bench.training_run(bench.lessons(Run.STUDENT)[-1]).state.weights()


def test_a_student_starts_from_stored_weights_under_their_owners_names(tmp_path: Path, lay_out: LayOut) -> None:
    folder = make(tmp_path)
    torch.manual_seed(99)
    stored = build.network(SMALL_MLP).state_dict()
    names = {"layers.0": "body", "layers.1": "top"}
    renamed = {f"{names[name[:8]]}{name[8:]}": tensor for name, tensor in stored.items()}
    save_file(renamed, folder / "inputs" / "student.safetensors")
    content = json.loads((folder / "job.json").read_text())
    content["spec"]["student"] = {"model": "mdl_" + "1" * 32}
    content["student"]["weights"] = {
        "path": "inputs/student.safetensors",
        "architecture": SMALL_MLP.model_dump(),
        "key_map": {"body": "layers.0", "top": "layers.1"},
    }
    (folder / "job.json").write_text(json.dumps(content))
    found = first_weights(lay_out(folder))
    assert all(torch.equal(found[name], tensor) for name, tensor in stored.items())


def test_a_student_starts_from_chosen_layers_of_its_teacher(tmp_path: Path, lay_out: LayOut) -> None:
    deep = Mlp(inputs=6, hidden=(8, 8, 8), classes=3)
    shallow = Mlp(inputs=6, hidden=(8, 8), classes=3)
    start = {"kind": "teacher_layers", "layers": {"layers.0": "layers.0", "layers.1": "layers.2"}}
    student = {"architecture": shallow.model_dump(), "initial": start}
    bench = lay_out(make(tmp_path / "chosen", teacher=deep, student=shallow, spec={"student": student}))
    fresh = lay_out(make(tmp_path / "fresh", teacher=deep, student=shallow))
    found, taught, new = first_weights(bench), bench.teachers[0].network.state_dict(), first_weights(fresh)
    assert torch.equal(found["layers.0.weight"], taught["layers.0.weight"])
    assert torch.equal(found["layers.1.bias"], taught["layers.2.bias"])
    assert torch.equal(found["layers.2.weight"], new["layers.2.weight"])
    assert not torch.equal(found["layers.1.weight"], new["layers.1.weight"])


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ({"layers.0": "layers.0"}, r"'layers.0.weight' has the shape \(12, 6\) instead of \(4, 6\)"),
        ({"layers.7": "layers.0"}, "no tensors under 'layers.7'"),
        ({"layers.0": "body"}, "no tensor 'body.weight' for the student's 'layers.0.weight'"),
    ],
)
def test_layers_that_do_not_fit_are_named(tmp_path: Path, run_here: RunHere, layers: dict[str, str], text: str) -> None:
    student = {**STUDENT, "initial": {"kind": "teacher_layers", "layers": layers}}
    with pytest.raises(EngineFailure, match=text):
        run_here(make(tmp_path, spec={"student": student}))
    assert not (tmp_path / "out").exists()


def test_a_born_again_student_can_start_as_its_teacher_and_leaves_it_alone(tmp_path: Path, run_here: RunHere) -> None:
    """The student is a copy: training it must not move the teacher (it would teach itself)."""
    student = {"architecture": MLP.model_dump(), "initial": {"kind": "teacher_layers", "layers": {"": ""}}}
    folder = make(tmp_path, student=MLP, spec={"student": student, "objective": [{"kind": "hard_target"}]})
    before = load_file(folder / "inputs" / "teacher.safetensors")
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    after = load_file(folder / "out" / "student.safetensors")
    assert report.teacher.agreement == 1.0
    assert not np.allclose(before["layers.0.weight"], after["layers.0.weight"])
