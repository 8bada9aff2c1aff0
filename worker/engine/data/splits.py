"""The parts of a transfer set: given by the file, or drawn from the labels and a seed. N = samples."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from app.contract.transfer import SPLITS, UNLABELLED, Splits

_TRAIN, _VALIDATION, _TEST = range(len(SPLITS))


def draw(labels_N: NDArray[np.int64], splits: Splits) -> NDArray[np.int64]:
    """Return each sample's part (0 train, 1 validation, 2 test): a function of labels and settings only.

    Every class (and the unlabelled, as one more) is divided alike, to within a sample or two.
    """
    # RandomState's streams are frozen for good (NEP 19); Generator's may change with numpy's version.
    shuffled = np.random.RandomState(splits.seed).permutation(len(labels_N))
    by_class = shuffled[np.argsort(labels_N[shuffled], kind="stable")]
    part_N = np.zeros(len(labels_N), dtype=np.int64)
    held = _evenly(len(by_class), splits.test)
    part_N[by_class[held]] = _TEST
    rest = by_class[~held]
    part_N[rest[_evenly(len(rest), splits.validation / (1 - splits.test))]] = _VALIDATION
    if len(part_N) and not (part_N == _TRAIN).any():
        part_N[by_class[-1]] = _TRAIN
    return part_N


def parts(labels_N: Tensor | None, split_N: Tensor | None, rows: int, splits: Splits) -> NDArray[np.int64]:
    """Return each sample's part: the given one, or drawn; `labels_N` is None where no sample has a label."""
    if split_N is not None:
        return split_N.numpy()
    return draw(np.full(rows, UNLABELLED) if labels_N is None else labels_N.numpy(), splits)


def rows_by_part(part_N: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each part, ascending."""
    return {name: np.flatnonzero(part_N == number) for number, name in enumerate(SPLITS)}


def _evenly(samples: int, share: float) -> NDArray[np.bool_]:
    """Mark round(samples · share) places, spread evenly, so that every run of places has its share to within one."""
    marks = np.floor(np.arange(samples + 1) * share + 0.5)
    chosen: NDArray[np.bool_] = np.diff(marks) > 0
    return chosen
