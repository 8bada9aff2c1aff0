"""Wide outputs: what a step's loss costs when all classes of the teacher are kept, and when the top ones are.

    python benchmarks/wide.py [--samples 256] [--classes 30522] [--k 64] [--rounds 5]

A language model's head: 128 hidden units to 30,522 classes, one thread; forward and backward through head and loss. The
loops take turns, medians are compared. Bytes are those of the soft-target file, for each sample.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from app.contract.objectives import SoftTarget
from worker.engine import build
from worker.engine.teachers.kept import AllClasses, TopClasses
from worker.engine.teachers.top_k import TopK
from worker.engine.terms.batch import Batch, Position

HIDDEN, TEMPERATURE = 128, 4.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--classes", type=int, default=30_522)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measure(options.samples, options.classes, options.k, options.rounds), indent=2))


def measure(samples: int, classes: int, k: int, rounds: int) -> dict[str, float]:
    """Return seconds of a step, ratios, and bytes a sample."""
    torch.manual_seed(0)
    hidden, head, teacher = torch.randn(samples, HIDDEN), nn.Linear(HIDDEN, classes), 3 * torch.randn(samples, classes)
    everything, top = AllClasses(classes, torch.float16), TopClasses(classes, k)
    kept = {"all": everything.encode(teacher), "top": top.encode(teacher)}
    steps: dict[str, Callable[[], Tensor]] = {
        "labels": lambda: F.cross_entropy(head(hidden), torch.zeros(samples, dtype=torch.long)),
        "all": lambda: loss(head(hidden), everything.decode(kept["all"])),
        "top": lambda: loss(head(hidden), top.decode(kept["top"])),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step().backward()
            times[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(found[1:]) for name, found in times.items()}
    size = {name: sum(array.nbytes for array in found.values()) / samples for name, found in kept.items()}
    return {
        **{f"{name}_seconds": found for name, found in seconds.items()},
        "all_over_top_seconds": seconds["all"] / seconds["top"],
        "top_over_labels_seconds": seconds["top"] / seconds["labels"],
        **{f"{name}_bytes_a_sample": found for name, found in size.items()},
        "all_over_top_bytes": size["all"] / size["top"],
    }


def loss(student_BC: Tensor, said: Tensor | TopK) -> Tensor:
    """Return the soft-target loss on what is kept."""
    whole, top = (None, said) if isinstance(said, TopK) else (said, None)
    nothing = torch.full((len(student_BC),), -1)
    batch = Batch(student_BC, whole, nothing, len(student_BC), 0, Position(0.0, 1.0), None, top)
    value, _ = build.objective([SoftTarget(temperature=TEMPERATURE)])(batch)
    return value


if __name__ == "__main__":
    main()
