"""Names: prefixes given, prefixes found, and what is too ambiguous to guess."""

import pytest

from app.contract.architectures import Lstm, Mlp
from worker.engine.failures import Refused
from worker.engine.networks import key_maps
from worker.engine.networks.blueprint import shapes

DEEP = shapes(Mlp(inputs=4, hidden=(5, 5, 5), classes=2))
LSTM = shapes(Lstm(inputs=2, hidden=16, layers=4, classes=4))
Shapes = dict[str, tuple[int, ...]]


def called(shapes: Shapes, names: dict[str, str]) -> Shapes:
    """Return a family's shapes as a user with other module names would have them."""
    return {key_maps.exported([name], names)[name]: shape for name, shape in shapes.items()}


def test_the_longest_prefix_wins_and_the_rest_keeps_its_name() -> None:
    found = key_maps.rename(["net.0.weight", "net.1.weight", "head.bias"], {"net": "a", "net.1": "b"})
    assert found == {"net.0.weight": "a.0.weight", "net.1.weight": "b.weight", "head.bias": "head.bias"}


def test_a_prefix_ends_at_a_dot() -> None:
    with pytest.raises(Refused, match="'layer1' matches no tensor"):
        key_maps.rename(["layer10.weight"], {"layer1": "a"})


def test_two_names_on_one() -> None:
    with pytest.raises(Refused, match=r"both 'a\.weight' and 'b\.weight' to 'c\.weight'"):
        key_maps.rename(["a.weight", "b.weight"], {"a": "c", "b": "c"})


def test_the_way_back() -> None:
    names = {"0": "layers.0", "2": "layers.1", "4": "layers.2"}
    assert key_maps.exported(["layers.0.bias", "layers.1.bias"], names) == {
        "layers.0.bias": "0.bias",
        "layers.1.bias": "2.bias",
    }
    with pytest.raises(Refused, match="no way back"):
        key_maps.exported(["layers.0.bias"], {"a": "layers.0", "b": "layers.0"})
    with pytest.raises(Refused, match="leads both"):
        key_maps.exported(["a.w", "b.w"], {"b": "a"})


def test_a_bare_linear_layer_has_the_empty_prefix() -> None:
    expected = shapes(Mlp(inputs=4, classes=2))
    key_map = key_maps.find({"weight": (2, 4), "bias": (2,)}, expected, ordered=False)
    assert key_map == {"": "layers.0"}
    assert key_maps.rename(["weight", "bias"], key_map) == {"weight": "layers.0.weight", "bias": "layers.0.bias"}
    assert key_maps.exported(expected, key_map) == {"layers.0.weight": "weight", "layers.0.bias": "bias"}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
def test_a_sequential_is_found_by_its_numbers(prefix: str, ordered: bool) -> None:
    names = {f"{prefix}{2 * number}": f"layers.{number}" for number in range(4)}
    found = called(DEEP, names)
    if not ordered:
        found = dict(sorted(found.items(), reverse=True))
    assert key_maps.find(found, DEEP, ordered=ordered) == names


def test_numbers_are_numbers() -> None:
    names = {f"blocks.{3 * number + 6}": f"layers.{number}" for number in range(4)}  # 6, 9, 12, 15
    shuffled = dict(sorted(called(DEEP, names).items()))
    assert key_maps.find(shuffled, DEEP, ordered=False) == names


def test_the_founding_example() -> None:
    names = {"layer1": "lstm", "layer2": "head"}
    assert key_maps.find(called(LSTM, names), LSTM, ordered=False) == names


def test_equal_parts_with_speaking_names_need_the_files_order() -> None:
    names = {"first": "layers.0", "second": "layers.1", "third": "layers.2", "last": "layers.3"}
    found = called(DEEP, names)
    assert key_maps.find(found, DEEP, ordered=True) == names
    with pytest.raises(Refused, match=r"'second', 'third' .* give a key_map from them to 'layers.1', 'layers.2'"):
        key_maps.find(found, DEEP, ordered=False)


def test_an_order_that_contradicts_the_numbers_is_ambiguous() -> None:
    found = called(DEEP, {"0": "layers.0", "4": "layers.1", "2": "layers.2", "6": "layers.3"})
    with pytest.raises(Refused, match="nothing says which is which"):
        key_maps.find(found, DEEP, ordered=True)


@pytest.mark.parametrize(
    "change", [{"extra.weight": (1,)}, {"layers.0.weight": (9, 9)}], ids=["one more", "another shape"]
)
def test_what_does_not_fit_is_not_matched(change: Shapes) -> None:
    assert key_maps.find(DEEP | change, DEEP, ordered=True) is None


def test_misfits_are_told_under_the_right_names() -> None:
    names = {"layer1": "lstm", "layer2": "head"}
    other = shapes(Lstm(inputs=2, hidden=8, layers=4, classes=4))
    assert key_maps.find(called(other, names), LSTM, ordered=True) is None
    assert key_maps.nearest(called(other, names), LSTM, ordered=True) == names
