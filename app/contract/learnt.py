"""What a job's directory keeps of the job's learning, by name: engine, worker and service go by the same.

cache/<training>.safetensors                a training that is done
checkpoints/<training>-<step>.safetensors   one that is not, after so many steps
<file>.sha256                               beside each of them, its seal: `<sha256>  <file's name>`
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

CACHE, CHECKPOINTS = "cache", "checkpoints"
KEPT = 2
"""Checkpoints of a training: the last one, and the one before in case that is damaged."""


def seal_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def seal_line(path: Path, sha256: str) -> str:
    return f"{sha256}  {path.name}\n"


def training_of(name: str) -> str:
    """Return the training that a file is of."""
    path = PurePosixPath(name)
    return path.stem if path.parent.name == CACHE else path.stem.rpartition("-")[0]


def needed(names: Iterable[str], kept: int = KEPT) -> list[str]:
    """Return those to go on from: trainings that are done, then the last `kept` of each other's, the newest first."""
    names = set(names)
    done = sorted(name for name in names if name.startswith(f"{CACHE}/"))
    checkpoints = defaultdict(list)
    for name in sorted(names.difference(done), reverse=True):  # steps have leading zeros
        checkpoints[training_of(name)].append(name)
    for name in done:
        checkpoints.pop(training_of(name), None)
    return [*done, *(name for of_training in checkpoints.values() for name in of_training[:kept])]
