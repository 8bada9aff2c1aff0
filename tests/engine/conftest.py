"""What the engine's tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.folders import read_job
from worker.engine import job as jobs
from worker.engine.bench import Bench
from worker.engine.job import run_job
from worker.engine.reporter import Reporter
from worker.engine.run import TrainingRun
from worker.engine.stop import StopSignal
from worker.engine.training.outcome import Outcome


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


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainingRun, Outcome]]:
    """What each lesson left, in their order."""
    runs: list[TrainingRun] = []
    found: list[tuple[TrainingRun, Outcome]] = []
    laid, left = Bench.training_run, jobs.outcome_of

    def watched(self: Bench, *arguments: Any) -> TrainingRun:
        runs.append(laid(self, *arguments))
        return runs[-1]

    def kept(*arguments: Any) -> Outcome:
        found.append((runs[-1], left(*arguments)))
        return found[-1][1]

    monkeypatch.setattr(Bench, "training_run", watched)
    monkeypatch.setattr(jobs, "outcome_of", kept)
    return found
