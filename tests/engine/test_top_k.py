"""Wide outputs: the teacher's top classes and one for all others, against all classes. B = batch, C = classes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from app.contract.architectures import Mlp
from app.contract.keeping import Keeping
from app.contract.objectives import HardTarget, LogitMse, SoftTarget
from app.contract.report import Report
from tests.engine.folders import make, read_job
from worker.engine import build
from worker.engine.teachers import top_k
from worker.engine.terms.batch import Batch, Position

WIDE = Mlp(inputs=6, hidden=(12,), classes=40)
HALFWAY = Position(5.0, 10.0)


def logits(rows: int = 5, classes: int = 300, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, rows, classes, generator=draw, dtype=torch.float64))  # type: ignore[return-value]


def coarse_by_hand(logits_BC: Tensor, classes_BK: Tensor, temperature: float) -> Tensor:
    """Return the distribution over the kept classes and all others, by probabilities."""
    share_BC = torch.softmax(logits_BC / temperature, 1)
    kept_BK = share_BC.gather(1, classes_BK)
    return torch.cat([kept_BK, 1 - kept_BK.sum(1, keepdim=True)], 1)


@pytest.mark.parametrize(("temperature", "error"), [(1.0, 1e-6), (1.5, 6e-3), (4.0, 4e-3), (20.0, 1e-3), (0.5, 1.2e-2)])
def test_the_teachers_coarse_distribution_is_exact_at_1_and_close_elsewhere(temperature: float, error: float) -> None:
    _, teacher_BC = logits()
    teacher_BC = 3 * teacher_BC
    kept = top_k.top_k(teacher_BC, 16)
    found = torch.softmax(kept.logits(temperature), 1).double()
    expected = coarse_by_hand(teacher_BC, kept.classes_BK, temperature)
    torch.testing.assert_close(found, expected, atol=error, rtol=0)
    assert torch.equal(kept.classes_BK[:, 0], teacher_BC.argmax(1))


@pytest.mark.parametrize("chunk", [1, 700, 10**6])
def test_the_students_coarse_distribution_is_exact_and_so_is_its_gradient(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(top_k, "_CHUNK", chunk)
    student_BC, teacher_BC = logits(3, 30)
    classes_BK = teacher_BC.topk(4, dim=1).indices
    found = torch.softmax(top_k.coarse(student_BC, classes_BK, 2.5), 1)
    torch.testing.assert_close(found, coarse_by_hand(student_BC, classes_BK, 2.5))
    assert torch.autograd.gradcheck(
        lambda s: top_k.coarse(s, classes_BK, 2.5), (student_BC.requires_grad_(),)
    )  # fmt: skip


def loss(student_BC: Tensor, temperature: float, teacher_BC: Tensor | None, top: top_k.TopK | None) -> Tensor:
    nothing = torch.full((len(student_BC),), -1)
    batch = Batch(student_BC, teacher_BC, nothing, len(student_BC), 0, HALFWAY, None, top)
    value, _ = build.objective([SoftTarget(temperature=temperature)])(batch)
    return value


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_divergence_over_the_coarse_classes(temperature: float) -> None:
    student_BC, teacher_BC = logits()
    teacher_BC = 3 * teacher_BC
    kept = top_k.top_k(teacher_BC, 64)
    found = loss(student_BC, temperature, None, kept)
    student, teacher = (coarse_by_hand(found_BC, kept.classes_BK, temperature) for found_BC in (student_BC, teacher_BC))
    expected = kl_div(student.log(), teacher, reduction="batchmean") * temperature**2
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-5)
    assert found < loss(student_BC, temperature, teacher_BC, None)  # classes that are put together tell less


def test_saturated_students_and_teachers_stay_finite() -> None:
    for scale in (0.0, 1e2, 1e4):
        student_BC, teacher_BC = (scale * found.float() for found in logits())
        student_BC.requires_grad_()
        found = loss(student_BC, 4.0, None, top_k.top_k(teacher_BC, 16))
        found.backward()
        assert torch.isfinite(found)
        assert student_BC.grad is not None
        assert torch.isfinite(student_BC.grad).all()


def test_a_student_like_its_teacher_has_nothing_to_learn_at_temperature_1() -> None:
    _, teacher_BC = logits()
    student_BC = teacher_BC.clone().requires_grad_()
    found = loss(student_BC, 1.0, None, top_k.top_k(teacher_BC, 16))
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert student_BC.grad is not None
    assert student_BC.grad.abs().max() < 1e-6


def test_what_is_kept() -> None:
    soft, both = [SoftTarget()], [SoftTarget(), LogitMse()]
    assert Keeping().classes_of(4096, soft) is None
    assert Keeping().classes_of(4097, soft) == 64
    assert Keeping().classes_of(4097, [*soft, HardTarget()]) == 64
    assert Keeping().classes_of(30_522, both) is None
    assert Keeping(keep="all").classes_of(30_522, soft) is None
    assert Keeping(keep="top_k", k=5).classes_of(6, soft) == 5
    assert Keeping(keep="top_k", k=5).classes_of(5, soft) is None


def test_terms_that_need_every_logit_refuse(tmp_path: Path) -> None:
    spec = {"soft_targets": {"keep": "top_k"}, "objective": [{"kind": "soft_target"}, {"kind": "logit_mse"}]}
    with pytest.raises(ValidationError, match=r"soft_targets.keep: Logit regression cannot work with top_k"):
        read_job(make(tmp_path, spec=spec))


@pytest.mark.parametrize("validation", [0.1, 0.0], ids=["validation", "evaluated on the training part"])
def test_a_whole_job_keeps_little_and_reports_exactly(
    tmp_path: Path, run_here: Callable[[Path], None], validation: float
) -> None:
    folder = make(
        tmp_path,
        teacher=WIDE,
        student=WIDE.model_copy(update={"hidden": (8,)}),
        spec={"soft_targets": {"keep": "top_k", "k": 4}, "objective": [{"kind": "soft_target"}], "control": False},
        training={"epochs": 30},
        transfer_set={"splits": {"validation": validation}},
    )
    run_here(folder)
    report = Report.model_validate(json.loads((folder / "out" / "report.json").read_text()))
    assert report.teacher.agreement == 1
    assert report.teacher.kl_to_teacher == 0
    losses = report.curves["student"]["loss"].values
    assert losses[-1] < losses[0] / 2
    files = [load_file(path) for path in (folder / "cache").glob("*-*.safetensors")]
    assert report.soft_targets
    assert report.soft_targets.computed == (120 if validation else 240)
    [top] = (found for found in files if "values" in found)
    whole = [found["logits"].shape for found in files if "logits" in found]
    rows = 120 - int(120 * validation)
    assert {name: tuple(top[name].shape) for name in ("tail", "classes", "values")} == {
        "tail": (rows, 3), "classes": (rows, 4), "values": (rows, 4),
    }  # fmt: skip
    assert whole == [(12 if validation else 120, 40)]


def test_tails_of_normal_logits_are_nearly_exact() -> None:
    """The cubic is exact where f is a parabola: tails of normally distributed logits."""
    teacher_BC = torch.randn(1, 50_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    kept = top_k.top_k(teacher_BC, 64)
    for temperature in (1.3, 2.0, 8.0):
        rest = log_softmax(teacher_BC, 1).scatter(1, kept.classes_BK, -torch.inf)
        assert kept.logits(temperature)[0, -1].item() == pytest.approx(
            (rest / temperature).logsumexp(1).item(), abs=5e-3
        )
