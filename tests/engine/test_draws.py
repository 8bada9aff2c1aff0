"""Random numbers as functions of their place: the same in any batch, and as random as they should be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.views.draws import Draws

ROWS = torch.arange(4000)


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 1000), rows=st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_a_samples_numbers_do_not_depend_on_its_batch(seed: int, number: int, rows: list[int]) -> None:
    whole = Draws(seed, number, 0, torch.arange(12)).uniform(5)
    mixed = torch.tensor(rows)
    assert torch.equal(Draws(seed, number, 0, mixed).uniform(5), whole[mixed])
    assert torch.equal(Draws(seed, number, 0, mixed).uniform(3), whole[mixed][:, :3])


@pytest.mark.parametrize("other", [(1, 1, 0), (0, 2, 0), (0, 1, 1)])
def test_other_seeds_views_and_steps_have_nothing_in_common(other: tuple[int, int, int]) -> None:
    one, two = Draws(0, 1, 0, ROWS).uniform(1), Draws(*other, ROWS).uniform(1)
    assert abs(float(np.corrcoef(one[:, 0], two[:, 0])[0, 1])) < 0.05
    assert not torch.isin(one, two).float().mean() > 0.01


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    found = Draws(3, 1, 0, ROWS).uniform(8)
    assert found.min() >= 0
    assert found.max() < 1
    counts = torch.histc(found, 20, 0, 1) / found.numel()
    assert (counts - 0.05).abs().max() < 0.005
    assert np.abs(np.corrcoef(found.T) - np.eye(8)).max() < 0.06


def test_normal_numbers_have_the_moments_of_a_normal_distribution() -> None:
    found = Draws(3, 1, 0, ROWS).normal(5).double()
    moments = [float((found**power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.1)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_beta_numbers_have_the_moments_of_their_distribution(alpha: float) -> None:
    found = Draws(3, 1, 0, ROWS).beta(alpha).double()
    assert float(found.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(found.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)
