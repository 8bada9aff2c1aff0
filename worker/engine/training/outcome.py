"""A finished training, kept in the cache: a resumed job does not go through it again."""

from dataclasses import dataclass
from pathlib import Path

from app.contract.report import Curve
from app.contract.states import StopReason
from worker.engine.checkpoint import seal, unseal
from worker.engine.state import Tensors, TrainState, under
from worker.engine.training.curves import Curves


@dataclass(frozen=True)
class Outcome:
    """The network that is kept, and how it came about."""

    weights: Tensors
    stop_reason: StopReason
    best_epoch: int | None
    seconds: float
    curves: dict[str, Curve]
    learnt: Tensors
    """What losses have learnt, by their names: for a training that comes after."""


def outcome_of(state: TrainState, reason: StopReason, learnt: Tensors) -> Outcome:
    """Return what a finished training leaves: the best student where early stopping watched, else the last."""
    best = state.best
    weights = best.weights if best else state.weights()
    return Outcome(weights, reason, best.epoch if best else None, state.seconds, state.curves.series(), learnt)


def learnt_by(state: TrainState, before: Outcome | None) -> Tensors:
    """Return what losses have learnt so far, each under its name: in this training, or else in an earlier one."""
    earlier = before.learnt if before else {}
    others = {name: kept for name, kept in earlier.items() if name.partition(".")[0] not in state.objective.losses}
    return others | state.learnt()


class Outcomes:
    """The finished trainings of a job. `fingerprint` names the work: what was kept of other work is passed over."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    def save(self, name: str, outcome: Outcome, curves: Curves) -> None:
        """Keep a finished training."""
        numbers = {
            "fingerprint": self._fingerprint,
            "stop_reason": outcome.stop_reason,
            "best_epoch": outcome.best_epoch,
            "seconds": outcome.seconds,
            "curves": curves.state(),
        }
        tensors = {f"network.{key}": tensor for key, tensor in outcome.weights.items()}
        tensors |= {f"learnt.{key}": tensor for key, tensor in outcome.learnt.items()}
        seal(self._path(name), tensors, numbers)

    def load(self, name: str) -> Outcome | None:
        """Return a finished training, or None. Raises Corrupt where its file is damaged."""
        if not self._path(name).exists():
            return None
        tensors, numbers = unseal(self._path(name))
        if numbers["fingerprint"] != self._fingerprint:
            return None
        curves = Curves()
        curves.restore(numbers["curves"])
        reason = StopReason(numbers["stop_reason"])
        weights, learnt = under(tensors, "network"), under(tensors, "learnt")
        return Outcome(weights, reason, numbers["best_epoch"], numbers["seconds"], curves.series(), learnt)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"
