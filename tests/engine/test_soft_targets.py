"""The soft-target store: one teacher pass, whoever asks and whatever happens, and never that of another teacher."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.folders import MLP, ROOT
from worker.engine import build
from worker.engine.failures import EngineFailure, Stopped
from worker.engine.teachers import kept, soft_targets
from worker.engine.teachers.kept import logits_kept
from worker.engine.teachers.soft_targets import Place, SoftTargets
from worker.engine.teachers.teacher import Teacher

ROWS = 200
"""Four blocks, the last one smaller."""


class Counted:
    """A teacher that counts the samples it is asked for."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.teacher = Teacher(build.network(MLP))
        self.batches: list[int] = []
        self.teacher.network.register_forward_hook(lambda _, inputs, __: self.batches.append(len(inputs[0])))

    @property
    def samples(self) -> int:
        return sum(self.batches)


def samples(rows: int = ROWS) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(1))


def store(
    folder: Path, counted: Counted, inputs: torch.Tensor, *, key: str = "a" * 64, made_on: str = "here",
    pause: Callable[[], None] = lambda: None,
) -> SoftTargets:  # fmt: skip
    """Open the targets of every other row, so that rows and their places differ."""

    def predict(rows_B: torch.Tensor) -> torch.Tensor:
        return counted.teacher.logits(inputs[rows_B // 2])

    return SoftTargets(
        Place(folder, key, made_on), torch.arange(len(inputs)) * 2, logits_kept(len(inputs), 3), predict, pause
    )


def test_each_sample_is_computed_once_and_read_back_for_ever(tmp_path: Path) -> None:
    counted, inputs = Counted(), samples()
    targets = store(tmp_path, counted, inputs)
    order = torch.randperm(ROWS) * 2
    first = torch.cat([targets.fetch(rows) for rows in torch.split(order, 7)])
    again = torch.cat([targets.fetch(rows) for rows in torch.split(order, 11)])
    assert sorted(counted.batches) == [8, 64, 64, 64]
    assert (targets.computed, targets.present, targets.complete) == (ROWS, ROWS, True)
    assert torch.equal(torch.cat([first]), torch.cat([again]))
    torch.testing.assert_close(first, counted.teacher.logits(inputs)[order // 2])


def test_only_the_blocks_that_are_asked_for_are_computed(tmp_path: Path) -> None:
    counted = Counted()
    targets = store(tmp_path, counted, samples())
    targets.fetch(torch.tensor([2 * 70, 2 * 199]))
    assert counted.batches == [64, 8]
    assert not targets.complete


def test_the_bits_depend_neither_on_the_order_nor_on_the_batches(tmp_path: Path) -> None:
    inputs, everything = samples(), torch.arange(ROWS) * 2
    ahead, asked = store(tmp_path / "ahead", Counted(), inputs), store(tmp_path / "asked", Counted(), inputs)
    ahead.fill()
    for rows in torch.split(torch.randperm(ROWS) * 2, 3):
        asked.fetch(rows)
    assert torch.equal(ahead.read(everything), asked.read(everything))
    [one], [other] = (list((tmp_path / name).iterdir()) for name in ("ahead", "asked"))
    assert one.read_bytes() == other.read_bytes()


def test_the_next_job_takes_over_what_is_there(tmp_path: Path) -> None:
    counted, inputs = Counted(), samples()
    store(tmp_path, counted, inputs).fetch(torch.arange(5) * 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    later = store(tmp_path, counted, inputs)
    assert later.present == 64
    later.fill()
    assert counted.samples == ROWS
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    assert load_file(next(tmp_path.iterdir()))["logits"].shape == (ROWS, 3)
    last = store(tmp_path, counted, inputs)
    assert last.complete
    assert torch.equal(last.read(torch.arange(ROWS) * 2), later.read(torch.arange(ROWS) * 2))
    assert counted.samples == ROWS


def test_another_key_is_another_store(tmp_path: Path) -> None:
    store(tmp_path, Counted(), samples()).fill()
    assert store(tmp_path, Counted(), samples(), key="b" * 64).present == 0


def test_machines_of_other_kinds_have_files_of_their_own_but_take_a_whole_one(tmp_path: Path) -> None:
    inputs = samples()
    partial = store(tmp_path, Counted(), inputs, made_on="there")
    partial.fetch(torch.arange(2))
    assert store(tmp_path, Counted(), inputs).present == 0
    partial.fill()
    (tmp_path / f"{Place(tmp_path, 'a' * 64, 'here').path.name}.partial").unlink()
    taken = store(tmp_path, Counted(), inputs)
    assert (taken.complete, taken.made_on) == (True, "there")
    own = store(tmp_path / "own", Counted(), inputs)
    assert own.made_on == ""


@pytest.mark.parametrize("damage", ["values", "header", "shape"])
def test_damaged_files_are_never_believed(tmp_path: Path, damage: str) -> None:
    counted, inputs = Counted(), samples(130 if damage == "shape" else ROWS)
    store(tmp_path, counted, inputs).fill()
    [path] = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-30 if damage == "values" else 9] ^= 1
    if damage != "shape":
        path.write_bytes(content)
    counted, inputs = Counted(), samples()
    later = store(tmp_path, counted, inputs)
    assert later.present == (ROWS - 8 if damage == "values" else 0)
    assert later.damaged == (1 if damage == "values" else 0)
    later.fill()
    torch.testing.assert_close(later.read(torch.arange(ROWS) * 2), Counted().teacher.logits(inputs))


def test_half_written_blocks_are_never_believed(tmp_path: Path) -> None:
    """Values without their checksum, and a checksum whose values did not reach the disk."""
    counted, inputs = Counted(), samples()
    targets = store(tmp_path, counted, inputs)
    targets.fetch(torch.tensor([0, 2 * 64]))
    targets._file._checks_K[0] = 0
    targets._file.arrays["logits"][64:100] = 0
    del targets
    assert store(tmp_path, counted, inputs).present == 0


def test_a_stop_keeps_the_blocks_that_are_done(tmp_path: Path) -> None:
    looked = []

    def stop() -> None:
        looked.append(None)
        if len(looked) == 3:
            raise Stopped

    counted, inputs = Counted(), samples()
    with pytest.raises(Stopped):
        store(tmp_path, counted, inputs, pause=stop).fill()
    store(tmp_path, counted, inputs).fill()
    assert counted.samples == ROWS


def test_large_sets_are_kept_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "SMALL_BYTES", 10)
    counted, inputs = Counted(), samples(4)
    with torch.no_grad():
        counted.teacher.network.layers[1].weight[0] = 1e6  # type: ignore[index, union-attr]
    found = store(tmp_path, counted, inputs).fetch(torch.arange(4) * 2)
    exact = counted.teacher.logits(inputs)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact.clamp(-65504, 65504).half().float())
    assert not torch.equal(found, exact)


def test_a_teacher_that_says_nan_is_named(tmp_path: Path) -> None:
    inputs = samples(4)
    inputs[2] = float("nan")
    with pytest.raises(EngineFailure, match="row 4"):
        store(tmp_path, Counted(), inputs).fetch(torch.arange(4) * 2)
    assert store(tmp_path, Counted(), samples(4)).present == 0


def test_the_teacher_is_frozen_and_out_of_sight() -> None:
    teacher = Counted().teacher
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    assert teacher.logits(torch.randn(2, 6).requires_grad_()).is_inference()


FILLING = """
    import sys, time
    from pathlib import Path
    import torch
    from tests.engine.test_soft_targets import Counted, samples, store
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    counted = Counted()
    counted.teacher.network.register_forward_hook(lambda *_: time.sleep(seconds))
    targets = store(folder, counted, samples(1024))
    print("ready", flush=True)
    sys.stdin.readline()
    targets.fill()
    print(len(counted.batches), flush=True)
"""


def filling(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Start a process that fills 16 blocks, each in so many seconds, once it is told to."""
    command = [sys.executable, "-c", textwrap.dedent(FILLING), str(folder), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> int:
    """Return how many blocks the process computed."""
    said, _ = process.communicate("", timeout=60)
    assert process.returncode == 0
    return int(said)


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def blocks_there(folder: Path) -> int:
    return store(folder, Counted(), samples(1024)).present // 64


def test_two_processes_share_one_pass_and_one_that_is_killed_costs_a_block(tmp_path: Path) -> None:
    victim, survivor = filling(tmp_path, 0.04), filling(tmp_path, 0.04)
    go(victim, survivor)
    while blocks_there(tmp_path) < 4:
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert 0 < finished(survivor) < 16
    counted = Counted()
    there = store(tmp_path, counted, samples(1024))
    assert there.complete
    own = store(tmp_path / "own", counted, samples(1024))
    own.fill()
    everything = torch.arange(1024) * 2
    assert torch.equal(there.read(everything), own.read(everything))


def test_who_waits_too_long_for_another_computes_its_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_targets, "_PATIENCE_SECONDS", 0.3)
    asleep = filling(tmp_path, 600)
    go(asleep)
    counted = Counted()
    targets = store(tmp_path, counted, samples(1024))
    while not _claimed(targets):
        time.sleep(0.01)
    os.kill(asleep.pid, signal.SIGSTOP)
    targets.fill()
    assert len(counted.batches) == 16
    asleep.kill()
    asleep.communicate()


def _claimed(targets: SoftTargets) -> bool:
    with targets._file.claim(0) as ours:
        return not ours
