"""A finished run, student or control, kept in the cache: a resumed job does not train it again."""

from dataclasses import dataclass
from pathlib import Path

from app.contract.events import Run
from app.contract.report import Curve
from app.contract.states import StopReason
from worker.engine.checkpoint import seal, unseal
from worker.engine.curves import Curves
from worker.engine.state import Tensors, TrainState


@dataclass(frozen=True)
class Outcome:
    """The network that is kept, and how it came about."""

    weights: Tensors
    stop_reason: StopReason
    best_epoch: int | None
    seconds: float
    curves: dict[str, Curve]


def outcome_of(state: TrainState, reason: StopReason) -> Outcome:
    """Return what a finished training leaves: the best student where early stopping watched, else the last."""
    best = state.best
    weights = best.weights if best else state.weights()
    return Outcome(weights, reason, best.epoch if best else None, state.seconds, state.curves.series())


class Outcomes:
    """The finished runs of a job. `fingerprint` names the work: what was kept of other work is not taken for this."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    def save(self, run: Run, outcome: Outcome, curves: Curves) -> None:
        """Keep a finished run."""
        numbers = {
            "fingerprint": self._fingerprint,
            "stop_reason": outcome.stop_reason,
            "best_epoch": outcome.best_epoch,
            "seconds": outcome.seconds,
            "curves": curves.state(),
        }
        seal(self._path(run), outcome.weights, numbers)

    def load(self, run: Run) -> Outcome | None:
        """Return a finished run, or None. Raises Corrupt where its file is damaged."""
        if not self._path(run).exists():
            return None
        weights, numbers = unseal(self._path(run))
        if numbers["fingerprint"] != self._fingerprint:
            return None
        curves = Curves()
        curves.restore(numbers["curves"])
        reason = StopReason(numbers["stop_reason"])
        return Outcome(weights, reason, numbers["best_epoch"], numbers["seconds"], curves.series())

    def _path(self, run: Run) -> Path:
        return self._folder / f"{run}.safetensors"
