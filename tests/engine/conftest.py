"""What the engine's tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.engine.folders import read_job
from worker.engine.bench import Bench
from worker.engine.job import run_job
from worker.engine.reporter import Reporter
from worker.engine.stop import StopSignal


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def lay_out() -> Iterator[Callable[[Path], Bench]]:
    """Lay out a job in this process without running it."""
    reporters: list[Reporter] = []

    def lay(folder: Path) -> Bench:
        reporters.append(Reporter(folder / "events.jsonl"))
        return Bench(folder, read_job(folder), reporters[-1], StopSignal())

    yield lay
    for reporter in reporters:
        reporter.close()


@pytest.fixture
def run_here() -> Iterator[Callable[[Path], None]]:
    """Run a job in this process; failures come as exceptions."""
    reporters: list[Reporter] = []

    def run(folder: Path) -> None:
        reporters.append(Reporter(folder / "events.jsonl"))
        run_job(folder, read_job(folder), reporters[-1], StopSignal())

    yield run
    for reporter in reporters:
        reporter.close()
