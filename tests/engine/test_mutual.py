"""Deep mutual learning: peers learn beside the student, and from one another. B = batch, C = classes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from app.contract.events import Run
from app.contract.objectives import Mutual
from tests.engine.folders import RESNET, SMALL_RESNET, make, of_type
from tests.engine.methods import setting, whole
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.test_stages import RunHere, equal
from worker.engine import build
from worker.engine.bench import Bench

OBJECTIVE: list[dict[str, Any]] = [{"kind": "hard_target"}, {"kind": "mutual", "peers": 2}]


def job(folder: Path, **training: Any) -> Path:
    settings = {"epochs": 2, "batch_size": 32, "checkpoint_seconds": 0, **training}
    spec = {"objective": OBJECTIVE, "control": False}
    return make(folder, teacher=RESNET, student=SMALL_RESNET, training=settings, spec=spec)


class Says(nn.Module):
    """A peer whose logits are its weights."""

    def __init__(self, logits_BC: Tensor) -> None:
        super().__init__()
        self.logits_BC = nn.Parameter(logits_BC)


def test_each_network_has_the_gradient_of_its_own_loss() -> None:
    student_BC, *peers = (torch.randn(5, 3, dtype=torch.float64) for _ in range(3))
    labels_B, built = torch.tensor([0, 1, -1, 2, 2]), iter([Says(one) for one in peers])
    objective = build.objective([Mutual(peers=2)], lambda _: setting({}, 3, peer=lambda: next(built)))
    batch = whole(student_BC.requires_grad_(), None, labels_B)
    loss, _ = objective(replace(batch, asked=lambda peer: peer.logits_BC))
    loss.backward()
    said = [student_BC, *(peer.logits_BC for peer in objective.losses["mutual"].peers)]  # type: ignore[union-attr]
    for place, own_BC in enumerate(said):
        again_BC = own_BC.detach().clone().requires_grad_()
        others = [one.detach().softmax(1) for number, one in enumerate(said) if number != place]
        log_q_BC, total = again_BC.log_softmax(1), torch.zeros((), dtype=torch.float64)
        for row in (0, 1, 3, 4):
            from_others = [(p_BC[row] * (p_BC[row].log() - log_q_BC[row])).sum() for p_BC in others]
            total = total + sum(from_others) / 2 - (log_q_BC[row, labels_B[row]] if place else 0)
        (total / 4).backward()
        torch.testing.assert_close(own_BC.grad, again_BC.grad)


def test_peers_are_trained_kept_and_never_exported(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_run, cut = (job(tmp_path / name, precision="bf16", accumulation=2) for name in ("whole", "cut"))
    run_here(whole_run)
    stopped_at(cut, run_here, monkeypatch, 6)
    run_here(cut)
    assert of_type(cut, "resumed")
    assert student_of(cut) == student_of(whole_run)
    build.network(SMALL_RESNET).load_state_dict(load_file(cut / "out" / "student.safetensors"), strict=True)
    # The teacher looks at what is evaluated, and teaches nothing.
    assert not of_type(cut, "teacher_pass")
    assert {event.phase for event in of_type(cut, "phase")} >= {"training", "evaluating"}
    assert "teacher_pass" not in {event.phase for event in of_type(cut, "phase")}


def test_peers_begin_elsewhere_and_move(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    run = (bench := lay_out(job(tmp_path, epochs=1))).training_run(bench.lessons(Run.STUDENT)[-1])
    first, second = run.objective.losses["mutual"].peers  # type: ignore[union-attr, misc]
    before = [{name: one.clone() for name, one in net.state_dict().items()} for net in (first, second)]
    assert not any(
        torch.equal(before[0]["fc.weight"], other["fc.weight"]) for other in (before[1], run.state.weights())
    )
    run.train()
    for net, old in zip((first, second), before, strict=True):
        assert not any(torch.equal(tensor, old[name]) for name, tensor in net.state_dict().items() if tensor.ndim > 1)
        assert net.state_dict()["bn1.num_batches_tracked"] == run.state.step
    assert not equal(first.state_dict(), run.state.network.state_dict())
