"""The embedded service in a temporary folder, with one slot of one thread: whom every reproduction talks to."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from stillhouse import JobHandle, Stillhouse
from stillhouse.embedded import EmbeddedStack


@contextmanager
def running() -> Iterator[Stillhouse]:
    """Yield a client of a service that lasts as long as the block."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the end is tidy then, too
    torch.set_num_threads(1)
    os.environ |= {"OMP_NUM_THREADS": "1", "STILLHOUSE_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="stillhouse-reproduce-") as folder:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{folder}/torch")  # else torch leaves one behind
        with EmbeddedStack(Path(folder) / "service") as stack, Stillhouse(stack.url) as client:
            yield client


def finished(job: JobHandle) -> JobHandle:
    """Wait for a job's end, and say how long it took."""
    started = time.monotonic()
    job.wait()
    print(f"{job.name}: {time.monotonic() - started:.0f} s", flush=True)
    return job
