"""The engine of these tests: `python -m tests.faults.engine JOBDIR`.

A job with the label `engine: simulated` costs no torch: its training is a chain of hashes, one link a step, so that a
step left out, or made twice, shows in the student. It keeps the engine's promises (a checkpoint each step, the last
two kept, SIGTERM heeded, resumes). Its labels: `pace`, seconds a step; `deaf`, which never hears SIGTERM. Every other
job is run by the real engine.
"""

import hashlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EXIT_DONE, EXIT_STOPPED = 0, 75  # of app.contract.job_file, whose import takes longer than such a training
LABEL = {"engine": "simulated"}
stopped: list[bool] = []


def report(kind: str, **facts: Any) -> None:
    line = json.dumps({"type": kind, "time": datetime.now(UTC).isoformat(), **facts})
    with Path("events.jsonl").open("a") as file:
        file.write(line + "\n")


def save(step: int, state: str) -> None:
    path = Path("checkpoints") / f"student-{step:012}.safetensors"
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        file.write(f"{step} {state} {_seal(step, state)}")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    for old in _newest_first()[2:]:
        old.unlink()
    report("checkpoint", run="student", step=step, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def load() -> tuple[int, str] | None:
    """Return step and state of the newest checkpoint that is intact."""
    for path in _newest_first():
        words = path.read_text(errors="replace").split()
        if len(words) == 3 and words[0].isdigit() and _seal(int(words[0]), words[1]) == words[2]:
            report("resumed", run="student", step=int(words[0]))
            return int(words[0]), words[1]
        report("notice", text=f"{path.name} is damaged and was passed over")
    return None


def _newest_first() -> list[Path]:
    return sorted(Path("checkpoints").glob("*.safetensors"), reverse=True)


def _seal(step: int, state: str) -> str:
    return hashlib.sha256(f"{step} {state}".encode()).hexdigest()


def train(spec: dict[str, Any]) -> int:
    """Make all steps; return the exit code."""
    labels, steps = spec["labels"], spec["training"]["epochs"]
    step, state = load() or (0, str(spec["seed"]))
    report("phase", phase="training", run="student")
    while step < steps:
        time.sleep(float(labels.get("pace", 0.02)))
        step, state = step + 1, hashlib.sha256(f"{state} {step}".encode()).hexdigest()
        told = {"epoch": step, "progress": step / steps, "metrics": {"loss": 1 / step}}
        report("step", run="student", step=step, steps=steps, **told)
        save(step, state)
        if stopped:
            return EXIT_STOPPED
    Path("out").mkdir(exist_ok=True)
    Path("out/student.safetensors").write_text(state)
    Path("out/report.json").write_text("{}")
    report("finished", stop_reason="completed")
    return EXIT_DONE


def main(folder: Path) -> int:
    spec = json.loads((folder / "job.json").read_text())["spec"]
    if spec["labels"].get("engine") != LABEL["engine"]:
        from worker.engine.__main__ import main as real

        return real()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in spec["labels"] else lambda *_: stopped.append(True))
    os.chdir(folder)
    return train(spec)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
