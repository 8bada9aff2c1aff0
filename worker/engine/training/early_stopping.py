"""Early stopping: the best student is kept, and training ends when patience does."""

from app.contract.training import EarlyStopping
from worker.engine.state import Best, TrainState

_RISING = {"accuracy", "agreement"}


def exhausted(settings: EarlyStopping | None, state: TrainState) -> bool:
    """Return whether there was no progress for as many evaluations as patience allows."""
    return settings is not None and state.stale >= settings.patience


def observe(settings: EarlyStopping, state: TrainState, found: dict[str, float]) -> None:
    """Take an evaluation at the end of the epoch into account."""
    value = found[settings.monitor]
    if state.best is None or _better(settings, value, state.best.value):
        state.best = Best(state.epoch, value, state.weights())
        state.stale = 0
    else:
        state.stale += 1


def _better(settings: EarlyStopping, value: float, best: float) -> bool:
    gain = value - best if settings.monitor in _RISING else best - value
    return gain > settings.min_delta
