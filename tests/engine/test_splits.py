"""Splits: a function of labels and settings, stratified, the same for ever."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.contract.transfer import Splits
from worker.engine.data import splits


@given(
    labels=st.lists(st.integers(-1, 4), min_size=1, max_size=200),
    validation=st.floats(0, 0.49),
    test=st.floats(0, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_is_divided_alike(labels: list[int], validation: float, test: float, seed: int) -> None:
    labels_N = np.array(labels)
    wanted = Splits(validation=validation, test=test, seed=seed)
    part_N = splits.draw(labels_N, wanted)
    assert (part_N == 0).any()
    assert abs((part_N == 2).sum() - len(labels) * test) <= 1
    assert abs((part_N == 1).sum() - len(labels) * validation) <= 2
    for label in set(labels):
        of_class = part_N[labels_N == label]
        assert abs((of_class == 2).sum() - len(of_class) * test) <= 2
        assert abs((of_class == 1).sum() - len(of_class) * validation) <= 2
    assert (splits.draw(labels_N, wanted) == part_N).all()


def test_a_seed_is_another_division_and_each_is_fixed_for_good() -> None:
    labels_N = np.arange(20) % 2
    first = splits.draw(labels_N, Splits(validation=0.2, test=0.2, seed=0))
    assert first.tolist() == GOLDEN
    assert splits.draw(labels_N, Splits(validation=0.2, test=0.2, seed=1)).tolist() != GOLDEN


def test_a_tiny_set_is_all_for_training() -> None:
    assert splits.draw(np.array([0, 1, 0, 0]), Splits()).tolist() == [0, 0, 0, 0]


def test_rows_by_part() -> None:
    rows = splits.rows_by_part(np.array([0, 2, 1, 0]))
    assert {name: found.tolist() for name, found in rows.items()} == {"train": [0, 3], "validation": [2], "test": [1]}


GOLDEN = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2, 2, 0, 0, 1, 0, 2, 2, 0, 1]
