"""Born-again networks: each generation is what a job of its own would make of the last one."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.contract.events import Run
from app.contract.report import Report
from tests.engine.folders import SMALL_MLP, blobs, make, of_type, read_job
from tests.engine.test_resume import stopped_at
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.checkpoint import digest
from worker.engine.inputs import load_transfer_set
from worker.engine.run import TrainingRun
from worker.engine.training.generations import seed_of

RunHere = Callable[[Path], None]
TRAINING: dict[str, Any] = {"epochs": 2, "checkpoint_seconds": 0}
AUGMENTED: dict[str, Any] = {
    "augmentation": [{"kind": "noise", "std": 0.1}], "views": {"kind": "fixed", "count": 2}
}  # fmt: skip


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("three"), training=TRAINING, spec={"generations": 3, **AUGMENTED})


@pytest.fixture
def finished(three: Path, run_here: RunHere) -> Path:
    if not (three / "out").exists():
        run_here(three)
    return three


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def weights_of(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted((folder / "out").glob("*.safetensors"))}


def test_a_generation_is_a_job_taught_by_the_one_before(finished: Path, tmp_path: Path, run_here: RunHere) -> None:
    before = ("generation-1", "generation-2", "student")
    for number, (taught_by, expected) in enumerate(pairwise(before), start=2):
        settings = {"seed": seed_of(0, number), "control": False, **AUGMENTED}
        folder = make(tmp_path / str(number), teacher=SMALL_MLP, training=TRAINING, spec=settings)
        weights = (finished / "out" / f"{taught_by}.safetensors").read_bytes()
        (folder / "inputs" / "teacher.safetensors").write_bytes(weights)
        run_here(folder)
        assert weights_of(folder)["student.safetensors"] == weights_of(finished)[f"{expected}.safetensors"]


def test_the_first_generation_is_the_job_without_more(finished: Path, tmp_path: Path, run_here: RunHere) -> None:
    run_here(make(tmp_path, training=TRAINING, spec=AUGMENTED))
    assert weights_of(tmp_path)["student.safetensors"] == weights_of(finished)["generation-1.safetensors"]
    assert (report_of(tmp_path).generations, report_of(tmp_path).ensemble) == ((), None)


def test_the_ensemble_has_the_mean_probabilities(finished: Path) -> None:
    report, inputs = report_of(finished), torch.from_numpy(blobs(120)[0])
    names = ("generation-1", "generation-2", "student")
    probabilities = []
    for name in names:
        network = build.network(SMALL_MLP).eval()
        network.load_state_dict(load_file(finished / "out" / f"{name}.safetensors"))
        probabilities.append(network(inputs).detach().double().softmax(1))
    mean = torch.stack(probabilities).mean(0)
    rows = validation(finished)
    labels = torch.from_numpy(blobs(120)[1])[rows]
    assert report.evaluated_on.split == "validation"
    assert report.ensemble is not None
    assert report.ensemble.nll == pytest.approx(-mean[rows, labels].log().mean().item(), rel=1e-5)
    assert report.ensemble.parameters == 3 * SMALL_MLP.size()
    assert report.ensemble.accuracy == pytest.approx((mean[rows].argmax(1) == labels).double().mean().item())
    assert len(report.generations) == 3
    assert report.generations[-1] == report.student
    nlls = [scores.nll or 0 for scores in report.generations]
    assert report.ensemble.nll <= sum(nlls) / 3 + 1e-9  # Jensen


def validation(folder: Path) -> torch.Tensor:
    found = load_transfer_set(folder, read_job(folder).transfer_set, torch.device("cpu"))
    return found.rows["validation"]


def test_progress_covers_every_run(finished: Path) -> None:
    steps = of_type(finished, "step")
    order = [Run.GENERATION_1, Run.GENERATION_2, Run.STUDENT, Run.CONTROL]
    assert list(dict.fromkeys(step.run for step in steps)) == order
    progress = [step.progress for step in steps]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1)
    ends = [max(step.progress for step in steps if step.run is run) for run in order]
    assert ends == pytest.approx([0.25, 0.5, 0.75, 1])
    report = report_of(finished)
    assert set(report.curves) == set(report.training_seconds) == {*map(str, order)}
    manifest = json.loads((finished / "out" / "manifest.json").read_text())
    listed = {file["name"]: file["sha256"] for file in manifest["files"] if file["name"].endswith(".safetensors")}
    assert listed == weights_of(finished)
    assert len(set(listed.values())) == 3


# 14 steps and 4 looks at the validation part a run (2 epochs), the teacher's and the student's.
@pytest.mark.parametrize("check", [5, 17, 20, 30, 41, 53])
def test_stopped_in_any_generation(
    finished: Path, tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    cut = make(tmp_path, training=TRAINING, spec={"generations": 3, **AUGMENTED})
    stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert weights_of(cut) == weights_of(finished)
    # What the generations say of one another is no look of the teacher.
    assert report_of(cut).soft_targets == report_of(finished).soft_targets


def test_the_teacher_of_a_generation_is_never_the_object_that_was_trained(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Bench, TrainingRun]] = []
    laid = Bench.training_run

    def watched(self: Bench, *arguments: Any) -> TrainingRun:
        seen.append((self, laid(self, *arguments)))
        return seen[-1][1]

    monkeypatch.setattr(Bench, "training_run", watched)
    run_here(make(tmp_path, training={"epochs": 1}, spec={"generations": 2, "control": False}))
    (_, first), (bench, second) = seen
    teacher, trained = bench.teachers[0].network, second.state.network
    assert len({id(teacher), id(trained), id(first.state.network)}) == 3
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    own = {tensor.data_ptr() for tensor in teacher.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in trained.state_dict().values())
    kept = load_file(tmp_path / "out" / "generation-1.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in teacher.state_dict().items())
