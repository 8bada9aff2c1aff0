"""Schedules against their closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.contract.schedules import Constant, Cosine, Linear, Schedule, Step, extremes, value_at

numbers = st.floats(-10, 10)
warmups = st.sampled_from([0.0, 0.5, 3.0])
schedules = st.one_of(
    st.builds(Constant, value=numbers, warmup=warmups, warmup_from=numbers),
    st.builds(Linear, start=numbers, end=numbers, warmup=warmups, warmup_from=numbers),
    st.builds(Cosine, start=numbers, end=numbers, warmup=warmups, warmup_from=numbers),
    st.builds(Step, start=numbers, factor=st.floats(0.1, 2), milestones=st.just((2.0, 5.0)), warmup=warmups),
)


def test_a_number_is_a_constant() -> None:
    assert value_at(0.3, 7, 10) == 0.3


def test_linear_reaches_its_end() -> None:
    line = Linear(start=1, end=3)
    assert [line.at(epoch, 4) for epoch in (0, 1, 2, 4)] == [1, 1.5, 2, 3]


def test_cosine_is_half_a_cosine() -> None:
    wave = Cosine(start=2, end=1)
    assert wave.at(0, 8) == 2
    assert wave.at(8, 8) == pytest.approx(1)
    assert wave.at(2, 8) == pytest.approx(1 + 0.5 * (1 + math.cos(math.pi / 4)))


@pytest.mark.parametrize(("start", "factor"), [(1, 1e200), (1e300, 1e5), (0, 1e200)])
def test_a_step_that_outgrows_numbers_is_refused(start: float, factor: float) -> None:
    with pytest.raises(ValidationError, match="it is no number any more"):
        Step(start=start, factor=factor, milestones=(1, 2))


def test_step_falls_at_its_milestones() -> None:
    stairs = Step(start=1, factor=0.1, milestones=(2, 4))
    assert [stairs.at(epoch, 6) for epoch in (1.99, 2, 3.9, 4)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_a_warm_up_rises_in_a_line_and_then_hands_over() -> None:
    warm = Linear(start=1, end=0, warmup=2, warmup_from=0.5)
    assert [warm.at(epoch, 4) for epoch in (0, 1, 2, 3, 4)] == [0.5, 0.75, 1, 0.5, 0]


@given(schedules, st.floats(0, 1), st.floats(0.1, 50))
def test_a_schedule_stays_between_its_extremes(schedule: Schedule, share: float, epochs: float) -> None:
    value = schedule.at(share * epochs, epochs)
    low, high = min(extremes(schedule)), max(extremes(schedule))
    assert low - 1e-9 <= value <= high + 1e-9
