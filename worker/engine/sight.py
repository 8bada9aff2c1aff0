"""A transfer set as one network sees it: its samples, put through that network's preprocessing."""

from collections.abc import Callable

from torch import Tensor

from worker.engine.samples import Inputs, Raw, Samples
from worker.engine.views import Look

Preprocessing = Callable[[Raw], Inputs]


def as_they_are(raw: Raw) -> Inputs:
    """The preprocessing of networks that take a set's numbers unchanged."""
    assert isinstance(raw, Tensor)
    return raw


class Sight:
    """What a network takes, for rows or looks of a set. B = batch."""

    def __init__(self, samples: Samples, preprocessing: Preprocessing = as_they_are) -> None:
        self._samples, self._preprocessing = samples, preprocessing

    def plain(self, rows_B: Tensor) -> Inputs:
        """Return the inputs of samples as they are."""
        return self._preprocessing(self._samples.take(rows_B))

    def of(self, look: Look) -> Inputs:
        """Return the inputs of one look."""
        return self.plain(look.rows_B) if look.raw is None else self._preprocessing(look.raw)
