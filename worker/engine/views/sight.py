"""A transfer set as one network sees it: its samples, put through that network's preprocessing."""

from collections.abc import Callable

from torch import Tensor

from worker.engine.data.samples import Inputs, Raw, Samples
from worker.engine.data.units import Wordwise
from worker.engine.views.augmented import Look
from worker.engine.views.encoding import Encoded, EncodedTokens, EncodedWords

Preprocessing = Callable[[Raw], Inputs]


def as_they_are(raw: Raw) -> Inputs:
    """The preprocessing of networks that take a set's numbers unchanged."""
    assert isinstance(raw, Tensor)
    return raw


class Sight:
    """What a network takes, for rows or looks of a set. B = batch."""

    def __init__(
        self, samples: Samples, preprocessing: Preprocessing = as_they_are, encoded: Encoded | None = None
    ) -> None:
        """`encoded`: the samples as they are, prepared once and for all, where that pays."""
        self._samples, self._preprocessing, self._encoded = samples, preprocessing, encoded

    def seen(self) -> Tensor:
        """Return which words (A,) of a set of lists the network gets to see, on the CPU."""
        assert isinstance(self._encoded, EncodedWords)
        return self._encoded.seen

    def next_tokens(self) -> tuple[Wordwise, Tensor]:
        """Return what is predicted of texts, and the token (A,) that each of these is, on the set's device."""
        assert isinstance(self._encoded, EncodedTokens)
        return self._encoded.units, self._encoded.following()

    def plain(self, rows_B: Tensor) -> Inputs:
        """Return the inputs of samples as they are."""
        if self._encoded is not None:
            return self._encoded.take(rows_B)
        return self._preprocessing(self._samples.take(rows_B))

    def of(self, look: Look) -> Inputs:
        """Return the inputs of one look."""
        return self.plain(look.rows_B) if look.raw is None else self._preprocessing(look.raw)

    def typical(self, rows_B: Tensor) -> Inputs:
        """Return a batch of one of these rows: of texts one of median length."""
        if self._encoded is None:
            return self.plain(rows_B[:1])
        by_length_B = self._encoded.lengths_N[rows_B.cpu()].argsort(stable=True)
        middle = int(by_length_B[(len(by_length_B) - 1) // 2])
        return self.plain(rows_B[middle : middle + 1])
