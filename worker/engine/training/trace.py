"""Losses of the steps since the last report, kept on the device until then. H = window, K = terms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure


class Trace:
    """Reading a loss would wait for the device, so the finite check waits for the report and then finds the step."""

    def __init__(self, names: Sequence[str], window: int, device: torch.device) -> None:
        self._names = tuple(names)
        self._values_HK = torch.zeros(window, len(names), device=device)
        self._filled = 0

    @property
    def full(self) -> bool:
        return self._filled == len(self._values_HK)

    def __len__(self) -> int:
        return self._filled

    def add(self, values_K: Tensor) -> None:
        """Append one step's values (K,)."""
        self._values_HK[self._filled].copy_(values_K)
        self._filled += 1

    def drain(self, step: int) -> dict[str, float]:
        """Return the mean of each value since the last call and start anew; `step` steps have been made.

        Raises EngineFailure (non_finite_loss) with the first step and term whose value is not finite.
        """
        values_HK = self._values_HK[: self._filled].cpu()
        first = step - self._filled
        self._filled = 0
        bad = (~torch.isfinite(values_HK)).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            raise non_finite(first + row + 1, self._names[column], float(values_HK[row, column]))
        means: list[float] = values_HK.double().mean(0).tolist()
        return dict(zip(self._names, means, strict=True))


def non_finite(step: int, what: str, value: float) -> EngineFailure:
    """Return the failure that names step and term."""
    advice = "lower the learning rate, set clip_norm, or look at the inputs"
    return EngineFailure(FailureCode.NON_FINITE_LOSS, f"At step {step} the term {what} became {value}: {advice}.")


def nothing_to_learn(names: Sequence[str]) -> EngineFailure:
    """Return the failure of a loss that none of the weights in training has a part in. `names`: its terms."""
    text = (
        f"No weight that is trained takes part in the loss ({', '.join(names)}): it looks at the student before its "
        "first weight, or at what is frozen. Tap a later layer, or add a term that learns from the outputs."
    )
    return EngineFailure(FailureCode.INVALID_SPEC, text)
