"""What the contract says of a network's size and work."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.contract.architectures import Lstm, Mlp, Onnx, Resnet


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


X4 = {"widths": (32, 64, 128, 256)}


# resnet8x4 and resnet32x4 as published; the others summed up from the CRD code's layers.
@pytest.mark.parametrize(
    ("depth", "more", "parameters"),
    [
        (8, X4, 1_233_540), (32, X4, 7_433_860), (8, {}, 83_892), (14, {}, 181_108), (20, {}, 278_324),
        (32, {}, 472_756), (44, {}, 667_188), (56, {}, 861_620), (110, {}, 1_736_564),
    ],
)  # fmt: skip
def test_the_resnets_of_the_literature_have_their_sizes(depth: int, more: dict[str, Any], parameters: int) -> None:
    assert Resnet(depth=depth, classes=100, **more).size() == parameters


def test_a_resnet_is_counted_by_hand() -> None:
    network = Resnet(depth=8, widths=(2, 2, 3, 4), channels=1, classes=5)
    stem, first = 9 * 2, 2 * 9 * 2 * 2
    second, third = 9 * 2 * 3 + 9 * 3 * 3 + 2 * 3, 9 * 3 * 4 + 9 * 4 * 4 + 3 * 4
    norms = 2 * (2 + 2 * 2 + 3 * 3 + 3 * 4)
    assert network.size() == stem + first + second + third + norms + 4 * 5 + 5
    assert network.flops((1, 9, 8)) == 2 * (72 * (stem + first) + 5 * 4 * second + 3 * 2 * third + 4 * 5)


def test_a_depth_that_does_not_divide_into_stages_is_told_its_neighbours() -> None:
    with pytest.raises(ValidationError, match=r"6n \+ 2.*take 14 or 20"):
        Resnet(depth=18, classes=10)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((3, 32, 32), True), ((3, 8, 50), True), ((3, 7, 32), False), ((1, 32, 32), False), ((32, 32), False)],
)
def test_a_resnet_takes_images_of_its_channels(shape: tuple[int, ...], fits: bool) -> None:
    refusal = Resnet(depth=8, classes=2).refuses_sample(shape)
    assert (refusal is None) == fits
    assert fits or str(shape) in str(refusal)


def test_an_onnx_model_takes_what_it_takes_unless_its_sample_is_told() -> None:
    assert Onnx(classes=2).refuses_sample((3, 4)) is None
    told = Onnx(classes=2, sample=(3, 4))
    assert told.refuses_sample((3, 4)) is None
    assert "(3, 5)" in str(told.refuses_sample((3, 5)))
