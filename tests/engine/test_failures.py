"""Each way to fail has its code; what was kept stays whole."""

import errno
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from app.contract.events import Run
from app.contract.job_file import EXIT_FAILED, EXIT_OUT_OF_MEMORY
from app.contract.states import FailureCode
from tests.engine.folders import LSTM, SMALL_LSTM, make, of_type
from worker.engine import __main__ as command
from worker.engine.checkpoint import Checkpoints, Corrupt, seal, unseal
from worker.engine.failures import EngineFailure, failure_of
from worker.engine.training.curves import MAX_POINTS, Curves


def unallocatable() -> BaseException:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60)
    return error.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), FailureCode.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), FailureCode.OUT_OF_MEMORY),
        (unallocatable(), FailureCode.OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), FailureCode.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), FailureCode.DISK_FULL),
        (OSError(errno.EIO, "broken"), FailureCode.ENGINE_CRASHED),
        (KeyError("x"), FailureCode.ENGINE_CRASHED),
        (EngineFailure(FailureCode.INVALID_SPEC, "no"), FailureCode.INVALID_SPEC),
    ],
    ids=str,
)
def test_every_exception_has_a_code(error: BaseException, code: FailureCode) -> None:
    failure = failure_of(error)
    assert failure.code is code
    assert "\n" not in failure.detail
    assert failure.detail


@pytest.mark.parametrize(("error", "exit_code"), [(MemoryError(), EXIT_OUT_OF_MEMORY), (KeyError("x"), EXIT_FAILED)])
def test_the_exit_code_and_the_last_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, exit_code: int
) -> None:
    folder = make(tmp_path)

    def fail(*_: object) -> None:
        raise error

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(command, "_run", fail)
    monkeypatch.setattr("sys.argv", ["engine", str(folder)])
    try:
        assert command.main() == exit_code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert of_type(folder, "failed")[-1].code == failure_of(error).code


def test_a_loss_that_no_weight_takes_part_in_is_refused(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    first = {"teacher": "hidden:0", "student": "hidden:0"}  # of a network of series: its inputs
    objective = [{"kind": "hint", "layers": [first]}]
    folder = make(tmp_path, teacher=LSTM, student=SMALL_LSTM, spec={"objective": objective, "control": False})
    with pytest.raises(EngineFailure, match=r"part in the loss \(hint\)") as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_a_disk_that_is_full_leaves_the_old_checkpoint_whole(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "work", "here")
    checkpoints.save(Run.STUDENT, 1, {"w": torch.ones(3)}, {"step": 1})
    # The kernel's own limit on file sizes stands in for the disk: the write fails half way through.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            checkpoints.save(Run.STUDENT, 2, {"w": torch.ones(100_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert failure_of(error.value).code is FailureCode.DISK_FULL
    found = checkpoints.load(Run.STUDENT)
    assert found.numbers["step"] == 1
    assert not found.corrupt
    assert not list(tmp_path.glob("*.tmp"))


def test_the_last_two_checkpoints_are_kept_with_their_digests(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "work", "here")
    for step in (1, 2, 3):
        checkpoints.save(Run.STUDENT, step, {"w": torch.full((2,), float(step))}, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"student-{step:012}.safetensors{ending}" for step in (2, 3) for ending in ("", ".sha256")
    ]
    assert checkpoints.load(Run.STUDENT).tensors["w"].tolist() == [3, 3]
    assert not checkpoints.load(Run.CONTROL).numbers
    assert Checkpoints(tmp_path, "work", "another host").load(Run.STUDENT).elsewhere == "here"
    assert not Checkpoints(tmp_path, "other work", "here").load(Run.STUDENT).numbers


@pytest.mark.parametrize("damage", ["flip", "cut", "no digest", "empty"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.safetensors"
    seal(path, {"w": torch.ones(3)}, {"step": 1})
    assert unseal(path)[1]["step"] == 1
    content = path.read_bytes()
    changes: dict[str, Any] = {"flip": content[:-1] + b"\x01", "cut": content[:-3], "empty": b""}
    if damage == "no digest":
        path.with_name("a.safetensors.sha256").unlink()
    else:
        path.write_bytes(changes[damage])
    with pytest.raises(Corrupt):
        unseal(path)


def test_curves_stay_bounded_and_keep_their_shape() -> None:
    curves = Curves()
    for step in range(10 * MAX_POINTS):
        curves.add(step, {"loss": float(step)})
    curve = curves.series()["loss"]
    assert MAX_POINTS / 4 < len(curve.steps) <= MAX_POINTS
    assert curve.steps == [int(value) for value in curve.values]
    assert len({after - before for before, after in zip(curve.steps, curve.steps[1:], strict=False)}) == 1
    again = Curves()
    again.restore(curves.state())
    again.add(10 * MAX_POINTS, {"loss": 0.0})
    curves.add(10 * MAX_POINTS, {"loss": 0.0})
    assert again.series() == curves.series()
