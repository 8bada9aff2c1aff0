"""How soon a job makes its first step: started anew, and forked from where torch is ready.

    python -m benchmarks.start --rounds 7      # --json

A small network on one thread, behind the sandbox's walls, as a worker runs it: the seconds from asking for the process
to the first step in its events. Both take turns.
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.loop import write_job
from worker import child

WARM = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillhouse-start-") as folder:
        found = asyncio.run(measure(Path(folder), asked.rounds))
    print(json.dumps(found, indent=2) if asked.json else table(found))


async def measure(folder: Path, rounds: int) -> dict[str, Any]:
    original = write_job(folder / "job", samples=512, epochs=1)
    try:
        first = await first_step(original, folder / "first", WARM)
        cold, warm = [], []
        for turn in range(rounds):
            cold.append(await first_step(original, folder / f"cold-{turn}", 0))
            warm.append(await first_step(original, folder / f"warm-{turn}", WARM))
    finally:
        child.fork_server.close()
    ratio = median(cold) / median(warm)
    return {"cold": median(cold), "warm": median(warm), "cold_over_warm": ratio, "first_of_a_slot": first}


async def first_step(original: Path, folder: Path, warm: float) -> float:
    shutil.copytree(original, folder)
    began = time.perf_counter()
    async with child.running(child.Command("worker.engine", folder, threads=1, warm_seconds=warm)) as process:
        while not has_stepped(folder / "events.jsonl"):
            assert process.returncode is None, (folder / child.LOG).read_text()
            await asyncio.sleep(0.002)
        return time.perf_counter() - began


def has_stepped(events: Path) -> bool:
    return events.exists() and '"type":"step"' in events.read_text().replace(" ", "")


def table(found: dict[str, Any]) -> str:
    return "\n".join([
        f"cold                   {found['cold']:.2f} s",
        f"warm                   {found['warm']:.2f} s",
        f"cold over warm         {found['cold_over_warm']:.1f}",
        f"the first of a slot    {found['first_of_a_slot']:.2f} s",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
