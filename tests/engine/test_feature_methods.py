"""What holds of single methods that look at maps, beside what `test_methods` holds all of them to. B = batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from app.contract.objectives import FeatureTerm, Fsp, Hint, Nst, Review
from app.contract.taps import Pair, Tap
from tests.engine.folders import RESNET, SMALL_RESNET, make, of_type
from tests.engine.methods import example, gradient, learnt, loss, rewritten, setting, taught, whole
from tests.engine.test_known_mistakes import student_run
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.transcriptions_features import flows, review
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.checkpoint import unseal
from worker.engine.failures import EngineFailure
from worker.engine.objectives import nst
from worker.engine.objectives.overhaul import margins
from worker.engine.taps.feature import Feature
from worker.engine.terms import pieces
from worker.engine.terms.adapters import BatchNorm
from worker.engine.terms.batch import Batch
from worker.engine.terms.held import Held
from worker.engine.terms.joint import Joint
from worker.engine.terms.objective import Objective

RunHere = Callable[[Path], None]
KINDS = ("activation_boundary", "fsp", "nst", "overhaul", "review", "vid")
EVERY: list[dict[str, Any]] = [{"kind": kind} for kind in KINDS]


def job(folder: Path, objective: list[dict[str, Any]], **training: Any) -> Path:
    settings = {"epochs": 2, "checkpoint_seconds": 0, **training}
    spec = {"objective": objective, "control": False}
    return make(folder, teacher=RESNET, student=SMALL_RESNET, training=settings, spec=spec)


def test_a_job_of_all_of_them_goes_on_bit_for_bit(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"precision": "bf16", "accumulation": 2}
    whole_run, cut = job(tmp_path / "whole", EVERY, **settings), job(tmp_path / "cut", EVERY, **settings)
    run_here(whole_run)
    stopped_at(cut, run_here, monkeypatch, 5)
    run_here(cut)
    assert of_type(cut, "resumed")
    assert student_of(cut) == student_of(whole_run)
    build.network(SMALL_RESNET).load_state_dict(load_file(cut / "out" / "student.safetensors"), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_method_learns_itself_is_trained_and_kept(
    kind: str, tmp_path: Path, lay_out: Callable[[Path], Bench]
) -> None:
    bench = lay_out(job(tmp_path, [{"kind": kind}], epochs=1))
    run = student_run(bench)
    before = {name: tensor.clone() for name, tensor in run.objective.named_parameters()}
    assert bool(before) == (kind != "nst")
    run.train()
    run._keep()
    assert not [name for name, tensor in run.objective.named_parameters() if torch.equal(tensor, before[name])]
    kept, _ = unseal(max((tmp_path / "checkpoints").glob("student-*.safetensors")))
    assert {f"objective.{name}" for name in run.objective.state_dict()} <= kept.keys()


def test_margins_are_means_of_what_the_teacher_holds_below_zero(
    tmp_path: Path, lay_out: Callable[[Path], Bench]
) -> None:
    bench = lay_out(job(tmp_path, [{"kind": "overhaul", "layers": ["preact:1"]}]))
    run = student_run(bench)
    caught: list[Tensor] = []
    teacher: Any = bench.teachers[0].network
    teacher.layer2[-1].sum.register_forward_hook(lambda *call: caught.append(call[-1]))
    with torch.no_grad():
        teacher(bench.teacher_sights[0].plain(bench.transfer_set.rows["train"]))
    held_KN = caught[0].transpose(0, 1).flatten(1).double().numpy()
    expected = [channel[channel < 0].mean() for channel in held_KN]
    found = run.objective.state_dict()["losses.overhaul.margins.0.margins_K"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_channel_that_never_falls_below_zero_has_the_margin_zero() -> None:
    features = [
        Feature(torch.tensor([[1.0, -2.0], [3.0, 1.0]]), "vector"),
        Feature(torch.tensor([[0.0, -4.0]]), "vector"),
    ]
    assert margins(features).tolist() == [0.0, -3.0]


def many(term: FeatureTerm, students: list[Tensor], teachers: list[Tensor]) -> tuple[Objective, Batch]:
    """Return the objective of one term in float64 and training mode, and a batch of several layers of features."""
    taps = {str(number): Feature(value, "map") for number, value in enumerate(students)}
    taught_at = {(0, str(number)): Feature(value, "map") for number, value in enumerate(teachers)}
    joints = tuple(
        Joint(taught_at[0, name].tap(name), held.tap(name), 1 / len(students)) for name, held in taps.items()
    )
    torch.manual_seed(1)
    objective = build.objective(
        [term],
        lambda _: setting({"layers": joints}, known=[*taught_at.values()]),
    )
    batch = whole(torch.zeros(len(students[0]), 2), None, torch.zeros(len(students[0]), dtype=torch.int64))
    held = Held(taps, taught_at, torch.arange(batch.samples), batch.labels_B, batch.samples, batch.labelled)
    return objective.double(), replace(batch, features=held)


def maps(*shapes: tuple[int, ...], batch: int = 3, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *shape, generator=draw, dtype=torch.float64) for shape in shapes]


def test_review_fuses_from_deep_to_shallow() -> None:
    students, teachers = maps((2, 6, 8), (3, 3, 4), (5, 1, 1)), maps((4, 6, 8), (3, 6, 6), (2, 1, 1), seed=1)
    objective, batch = many(Review(weight=1.0, width=4), students, teachers)
    found, _ = objective(batch)
    own = {name: value.tolist() for name, value in objective.losses["review"].state_dict().items()}
    assert found.item() == pytest.approx(review(students, teachers, own, training=True), rel=1e-9)


def test_fsp_goes_from_each_layer_to_the_next() -> None:
    students, teachers = maps((2, 4, 4), (3, 2, 2), (2, 2, 2)), maps((2, 4, 4), (3, 2, 2), (2, 2, 2), seed=1)
    values = []
    for sample in range(3):
        for first in range(2):
            of_each = []
            for network in (students, teachers):
                upper, lower = network[first][sample], network[first + 1][sample]
                while upper.shape[1] > lower.shape[1]:
                    upper = upper.reshape(-1, 2, 2, 2, 2).amax((2, 4))
                of_each.append(flows(upper.numpy(), lower.numpy()))
            values.append(np.sum((of_each[0] - of_each[1]) ** 2))
    objective, batch = many(Fsp(weight=1.0, formulation="paper"), students, teachers)
    assert objective(batch)[0].item() == pytest.approx(np.mean(values), rel=1e-9)


@pytest.mark.parametrize(("channels", "side"), [((7, 5), 2), ((3, 4), 3)])
def test_nst_by_positions_and_by_channels_is_the_same(channels: tuple[int, int], side: int) -> None:
    first, second = (value.flatten(2) for value in maps(*((number, side, side) for number in channels)))
    torch.testing.assert_close(nst.squared(first, second), nst.squared_by_positions(first, second))


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_nst_in_pieces_is_nst(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    term, batch = example("nst", 5, kernel=kernel)
    at_once = loss(term, batch)
    monkeypatch.setattr(pieces, "AT_ONCE", 20)
    cut = loss(term, batch)
    torch.testing.assert_close(cut, at_once)
    torch.testing.assert_close(gradient(cut, batch), gradient(at_once, batch))


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_nst_asks_nothing_of_a_dead_channel(kernel: str) -> None:
    term, batch = example("nst", 3, kernel=kernel)
    dead = [value.detach().clone() for value in learnt(batch)]
    dead[-1][:, 0] = 0.0
    batch = rewritten(batch, [value.requires_grad_() for value in dead], taught(batch))
    moved = gradient(loss(term, batch), batch)[:, 4:].unflatten(1, (3, -1))
    assert not moved[:, 0].any()
    assert moved[:, 1:].any()
    assert torch.isfinite(moved).all()


def test_a_gaussian_of_a_single_channel_is_finite() -> None:
    objective, batch = many(Nst(kernel="gaussian"), [maps((2, 2, 2))[0].requires_grad_()], maps((1, 2, 2), seed=1))
    assert torch.isfinite(objective(batch)[0])


def test_a_batch_norm_of_one_value_takes_what_others_had() -> None:
    norm = BatchNorm(3)
    norm(torch.randn(8, 3, 2, 2))
    learnt_by_others = norm.running_mean.clone()
    value = torch.randn(1, 3)
    torch.testing.assert_close(norm(value), norm.eval()(value))
    assert torch.equal(norm.running_mean, learnt_by_others)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_sample(kind: str, tmp_path: Path, run_here: RunHere) -> None:
    inputs, labels = np.random.default_rng(0).normal(size=(9, 1, 8, 8)).astype(np.float32), np.arange(9) % 3
    spec = {"objective": [{"kind": kind}], "control": False}
    training = {"epochs": 1, "batch_size": 2}
    run_here(
        make(tmp_path, teacher=RESNET, student=SMALL_RESNET, inputs=inputs, labels=labels, spec=spec, training=training)
    )


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ({"kind": "fsp", "layers": ["stage:0"]}, "takes 2 pairs of taps or more"),
        ({"kind": "fsp", "adapter": "none"}, "which takes an adapter"),
        ({"kind": "hint", "adapter": "none"}, "which takes an adapter"),
        ({"kind": "overhaul", "layers": ["stage:3"]}, "no 'stage:3'"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    tmp_path: Path, run_here: RunHere, term: dict[str, Any], words: str
) -> None:
    with pytest.raises(EngineFailure, match=words):
        run_here(job(tmp_path, [term]))


def test_an_adapter_with_batch_norm_takes_no_tokens() -> None:
    tokens = Tap(name="hidden:1", layout="tokens", shape=(None, 4))
    assert "maps and vectors" in str(Hint(adapter="connector").refuses_pair(tokens, tokens))
    assert Hint(layers=(Pair(teacher="hidden:1", student="hidden:1"),)).refuses_pair(tokens, tokens) is None
