"""What a soak will do, drawn from its seed: the same seed gives the same jobs and the same faults, in the same order.

When exactly a fault strikes, and whom, follows from how far the jobs are by then, and that is the machine's affair.
"""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.faults.engine import LABEL

WEIGHTS = {
    "kill engine": 20,
    "kill worker": 8,
    "kill tree": 8,
    "freeze worker": 6,
    "stop worker": 8,
    "kill janitor": 3,
    "kill API": 2,
    "restart broker": 4,
    "wipe broker": 4,
    "repeat hints": 8,
    "lock database": 6,
    "cancel": 7,
    "pause": 8,
    "flip checkpoint": 8,
}
"""Kinds of faults, and how often each is drawn."""
_SPREAD = 0.95
"""Faults strike until so much of the jobs is over: the last ones must meet somebody at work."""
_REAL = 0.1
"""Share of jobs that the real engine trains."""


@dataclass(frozen=True)
class Fault:
    """One fault, due once a share of the jobs is over. `draw` decides whom it strikes, among those that are there."""

    number: int
    kind: str
    due: float
    draw: float


@dataclass(frozen=True)
class Wish:
    """What one job is asked for, but for its inputs."""

    training: dict[str, Any]
    labels: dict[str, str]
    seed: int

    def spec(self, teacher: str, data: str) -> dict[str, Any]:
        """Return the whole spec. With 20 attempts only a poison job could use them up."""
        student = {"architecture": {"kind": "mlp", "inputs": 6, "hidden": [4], "classes": 3}}
        asked = {"training": self.training, "labels": self.labels, "seed": self.seed, "max_attempts": 20}
        inputs = {"teacher": teacher, "transfer_set": data, "student": student}
        return {**inputs, **asked, "control": False, "export": {"plots": False}}


def faults(count: int, seed: int) -> list[Fault]:
    draw = random.Random(f"faults {seed}")
    kinds = draw.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [Fault(n, kind, _SPREAD * n / count, draw.random()) for n, kind in enumerate(kinds)]


def wishes(count: int, seed: int) -> list[Wish]:
    """Return the jobs. Several have equal specs: their students must be equal."""
    draw = random.Random(f"jobs {seed}")
    return [_real(draw) if draw.random() < _REAL else _simulated(draw) for _ in range(count)]


def _real(draw: random.Random) -> Wish:
    training = {"epochs": 40, "batch_size": 20, "checkpoint_seconds": 0.1, "log_every": 6}
    return Wish(training, {"engine": "real"}, seed=draw.randrange(3))


def _simulated(draw: random.Random) -> Wish:
    training = {"epochs": draw.choice([10, 20, 40])}
    return Wish(training, {**LABEL, "pace": str(draw.choice([0.02, 0.05]))}, seed=draw.randrange(8))


def counted(planned: list[Fault]) -> Counter[str]:
    return Counter(fault.kind for fault in planned)
