"""Engines and inspections that start at once: real processes, forked from a server that has torch loaded and idles."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from app.contract.job_file import EXIT_DONE

_SECONDS = 60
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([
    "torch", "torch._dynamo", "transformers", "pyarrow.parquet", "onnx", "onnxruntime", "worker.engine.job",
    "worker.engine.inspection.datasets", "worker.engine.inspection.hugging_face",
    *(f"worker.engine.transfer_sets.{kind}" for kind in ("images", "table", "tagged_words", "tensors", "text")),
])  # fmt: skip


def start(folder: Path) -> ForkServerProcess:
    """Start the engine on a job's directory, its log in log.txt."""
    return spawn(run, folder)


def spawn(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a function of a module in a process of its own."""
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def log_to(folder: Path) -> None:
    """Have this process write what it prints to a job's log.txt."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 2)


def run(folder: Path) -> None:
    """Be the engine, and end with it."""
    from worker.engine.__main__ import main

    log_to(folder)
    sys.argv = ["worker.engine", str(folder)]
    sys.exit(main())


def ended(process: ForkServerProcess) -> int | None:
    """Return the exit code, negative for a signal."""
    process.join(_SECONDS)
    return process.exitcode


def finish(folder: Path) -> None:
    assert ended(start(folder)) == EXIT_DONE, (folder / "log.txt").read_text()


def interrupt(folder: Path, number: int, steps: int) -> int | None:
    """Send a signal once the run has reported so many more steps; return the exit code."""
    already = steps_reported(folder)
    process = start(folder)
    while process.is_alive() and steps_reported(folder) < already + steps:
        time.sleep(0.002)
    if process.pid and process.is_alive():
        os.kill(process.pid, number)
    return ended(process)


def steps_reported(folder: Path) -> int:
    path = folder / "events.jsonl"
    return path.read_bytes().count(b'"type":"step"') if path.exists() else 0
