"""A disk that is full, for real, wherever the engine writes: it says so, breaks nothing, and goes on later."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.job_file import EXIT_DISK_FULL
from app.contract.states import FailureCode
from tests.disks import small_disk
from tests.engine.folders import make, of_type, start
from tests.engine.forked import finish
from tests.engine.test_by_hand import inspect
from tests.engine.test_kills import LONG
from tests.servers import wait_until
from worker.engine.checkpoint import unseal
from worker.engine.failures import failure_of

MIB = 2**20
PAGE = os.sysconf("SC_PAGE_SIZE")
SPEC: dict[str, Any] = {"control": False}


def nothing_torn(folder: Path) -> None:
    """Whatever lies there under its own name is whole, and nothing else does."""
    assert not list(folder.rglob("*.tmp"))
    for path in [*(folder / "checkpoints").glob("*.safetensors"), *folder.glob("cache/student.safetensors")]:
        assert unseal(path)


def test_a_checkpoint_that_finds_no_room_leaves_the_older_one(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        job = make(disk.path / "job", training=LONG, spec=SPEC)
        process = start(job)
        wait_until(lambda: len(of_type(job, "checkpoint")) >= 2, what="two checkpoints")
        disk.fill()
        assert process.wait(timeout=60) == EXIT_DISK_FULL
        assert list((job / "checkpoints").glob("*.safetensors"))
        nothing_torn(job)
        disk.make_room()
        finish(job)
        assert of_type(job, "resumed")


@pytest.mark.parametrize(("seconds", "places"), [(0, {"events.jsonl", "checkpoints"}), (1000, {"cache", "out"})])
def test_wherever_there_is_no_room_the_job_ends_with_words_and_goes_on(
    tmp_path: Path, run_here: Callable[[Path], None], seconds: float, places: set[str]
) -> None:
    """With little room, with more, up to a page less than enough: another write is the first to fail each time."""
    got_to, too_little, enough = set[str](), -1, 64
    while enough - too_little > 1:
        pages = (too_little + enough) // 2
        folder = tmp_path / str(pages)
        folder.mkdir()
        found = first_failure(folder, run_here, pages, {"epochs": 3, "checkpoint_seconds": seconds})
        got_to |= found
        too_little, enough = (pages, enough) if found else (too_little, pages)
    assert enough < 64
    assert places <= got_to


def first_failure(folder: Path, run_here: Callable[[Path], None], pages: int, training: dict[str, float]) -> set[str]:
    """Run a job with room for so many pages, and again with more; return how far it got at first, empty: to its end."""
    with small_disk(folder / "disk", MIB) as disk:
        job = make(disk.path / "job", training=training, spec=SPEC)
        disk.fill(leave=PAGE * pages)
        try:
            run_here(job)
        except OSError as full:
            failure = failure_of(full)
        else:
            return set()
        assert failure.code is FailureCode.DISK_FULL
        assert "Make room there" in failure.detail
        nothing_torn(job)
        got_to = {entry.name for entry in job.iterdir()}
        disk.make_room()
        run_here(job)
        assert of_type(job, "finished")
        return got_to


def test_an_inspection_without_room_rejects_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", MIB) as disk:
        folder = make(disk.path / "job")
        subject = {"kind": "dataset", "path": "inputs/transfer_set", "format": {"kind": "tensors"}, "splits": {}}
        (folder / "job.json").write_text(json.dumps({"subject": subject}))
        disk.fill()
        assert start(folder, "worker.engine.inspection").wait(timeout=60) == EXIT_DISK_FULL
        disk.make_room()
        inspect(folder, subject)
