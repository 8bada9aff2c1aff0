"""The soft-target store: one teacher pass, and never one for another teacher or set."""

from pathlib import Path

import pytest
import torch

from tests.engine.folders import MLP
from worker.engine import build, soft_targets
from worker.engine.failures import EngineFailure
from worker.engine.soft_targets import SoftTargets
from worker.engine.teacher import Teacher


class Counted:
    """A teacher that counts the samples it is asked for."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.teacher = Teacher(build.network(MLP))
        self.samples = 0
        self.teacher.network.register_forward_hook(self._count)

    def _count(self, _module: object, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        self.samples += len(inputs[0])


def store(folder: Path, counted: Counted, inputs: torch.Tensor, **key: object) -> SoftTargets:
    def predict(rows_B: torch.Tensor) -> torch.Tensor:
        return counted.teacher.logits(inputs[rows_B])

    named = {"teacher": "a", "data": "b", **key}
    return SoftTargets(folder, named, predict, (len(inputs), 3), torch.device("cpu"))


def test_each_sample_is_computed_once_and_read_back_for_ever(tmp_path: Path) -> None:
    counted, inputs = Counted(), torch.randn(10, 6)
    targets = store(tmp_path, counted, inputs)
    order = torch.randperm(10)
    first = torch.cat([targets.fetch(rows) for rows in torch.split(order, 4)])
    again = torch.cat([targets.fetch(rows) for rows in torch.split(order, 4)])
    assert counted.samples == 10
    assert torch.equal(first, again)
    torch.testing.assert_close(first, counted.teacher.logits(inputs)[order])


def test_a_new_process_takes_over_what_was_flushed(tmp_path: Path) -> None:
    counted, inputs = Counted(), torch.randn(10, 6)
    targets = store(tmp_path, counted, inputs)
    kept = targets.fetch(torch.arange(5))
    targets.flush()
    targets.fetch(torch.arange(5, 10))  # never flushed: lost with the process
    later = store(tmp_path, counted, inputs)
    assert later.complete(torch.arange(5))
    assert not later.complete(torch.arange(6))
    counted.samples = 0
    assert torch.equal(later.fetch(torch.arange(5)), kept)
    assert counted.samples == 0


@pytest.mark.parametrize("other", [{"teacher": "other"}, {"data": "other"}, {"view": "mirrored"}])
def test_another_teacher_set_or_view_is_another_store(tmp_path: Path, other: dict[str, str]) -> None:
    counted, inputs = Counted(), torch.randn(4, 6)
    store(tmp_path, counted, inputs).fetch(torch.arange(4))
    assert not store(tmp_path, counted, inputs, **other).complete(torch.arange(1))


def test_large_sets_are_kept_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_targets, "SMALL_BYTES", 10)
    counted, inputs = Counted(), torch.randn(4, 6)
    with torch.no_grad():
        counted.teacher.network.layers[1].weight[0] = 1e6  # type: ignore[index, union-attr]
    found = store(tmp_path, counted, inputs).fetch(torch.arange(4))
    exact = counted.teacher.logits(inputs)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact.clamp(-65504, 65504).half().float())
    assert not torch.equal(found, exact)


def test_an_interrupted_batch_is_computed_whole_and_keeps_what_was_there(tmp_path: Path) -> None:
    counted, inputs = Counted(), torch.randn(6, 6)
    targets = store(tmp_path, counted, inputs)
    kept = targets.fetch(torch.tensor([2]))
    found = targets.fetch(torch.arange(4))
    assert counted.samples == 1 + 4
    assert torch.equal(found[2:3], kept)


def test_a_teacher_that_says_nan_is_named(tmp_path: Path) -> None:
    inputs = torch.randn(4, 6)
    inputs[2] = float("nan")
    with pytest.raises(EngineFailure, match="row 2"):
        store(tmp_path, Counted(), inputs).fetch(torch.arange(4))


def test_the_teacher_is_frozen_and_out_of_sight() -> None:
    teacher = Counted().teacher
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    assert teacher.logits(torch.randn(2, 6).requires_grad_()).is_inference()
