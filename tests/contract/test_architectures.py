"""What the contract says of a network's size and work."""

import pytest

from app.contract.architectures import Lstm, Mlp


def test_an_mlp_is_counted_by_hand() -> None:
    network = Mlp(inputs=64, hidden=(16,), classes=10)
    assert network.size() == 64 * 16 + 16 + 16 * 10 + 10
    assert network.flops((8, 8)) == 2 * (64 * 16 + 16 * 10)


def test_an_lstm_is_counted_by_hand() -> None:
    network = Lstm(inputs=2, hidden=16, layers=2, classes=4)
    first, second = 4 * 16 * (2 + 16) + 8 * 16, 4 * 16 * (16 + 16) + 8 * 16
    assert network.size() == first + second + 4 * 16 + 4
    assert network.flops((6, 2)) == 2 * (6 * (4 * 16 * 18 + 4 * 16 * 32) + 4 * 16)


@pytest.mark.parametrize(("shape", "fits"), [((64,), True), ((8, 8), True), ((1, 8, 8), True), ((63,), False)])
def test_an_mlp_takes_whatever_flattens_to_its_inputs(shape: tuple[int, ...], fits: bool) -> None:
    assert (Mlp(inputs=64, classes=2).refuses_sample(shape) is None) == fits


@pytest.mark.parametrize(("shape", "fits"), [((6, 2), True), ((1, 2), True), ((6, 3), False), ((2,), False)])
def test_an_lstm_takes_steps_of_its_inputs(shape: tuple[int, ...], fits: bool) -> None:
    refusal = Lstm(inputs=2, hidden=4, classes=2).refuses_sample(shape)
    assert (refusal is None) == fits
    assert fits or str(shape) in str(refusal)
