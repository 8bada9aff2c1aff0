"""Captured networks as data: what is malformed, boundless or hostile is told before anything is built."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from pydantic import ValidationError

from app.contract.architectures import Graph
from app.contract.graphs.operators import MODES, OPERATORS, SIZES, UNDEFINED
from app.contract.graphs.program import MAX_CALLS, MAX_PARTS

LINEAR = {
    "name": "linear", "operator": "aten.linear.default", "args": [{"value": "input"}, {"tensor": "head.weight"}],
    "module": "head",
}  # fmt: skip
WEIGHT = {"name": "head.weight", "shape": [3, 4]}
COUNT = {"name": "count", "shape": [], "dtype": "int64", "role": "buffer", "start": {"kind": "filled"}}


def described(calls: list[Any] | None = None, tensors: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    calls = [LINEAR] if calls is None else calls
    return {
        "classes": 3,
        "input": {"kind": "array", "shape": [4]},
        "tensors": [WEIGHT] if tensors is None else tensors,
        "training": {"calls": calls, "output": "linear"},
        **more,
    }


def call(operator: str = "aten.relu.default", *args: Any, name: str = "more", **kwargs: Any) -> dict[str, Any]:
    return {"name": name, "operator": operator, "args": list(args), "kwargs": kwargs}


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def constant(data: str, shape: list[int]) -> dict[str, Any]:
    return {"name": "c", "shape": shape, "role": "constant", "start": {"kind": "values", "data": data}}


def test_a_description_survives_json() -> None:
    graph = Graph.model_validate(described(tensors=[WEIGHT, constant(packed(b"\0" * 8), [2])]))
    for text in (graph.model_dump_json(), graph.model_dump_json(exclude_none=True)):
        assert Graph.model_validate_json(text) == graph
    assert graph.size() == 12
    assert graph.undrawn() == ["head.weight"]


INPUT = {"value": "input"}
NESTED: list[Any] = [[[[[1]]]]]
WRONG_CALLS: list[tuple[list[Any], str]] = [
    ([call("aten.conv2d.defualt", INPUT)], "'aten.conv2d.defualt' is not one .*; did you mean 'aten.conv2d.default'"),
    ([call("aten.from_file.default", "passwd")], "'aten.from_file.default' is not one that captured networks may call"),
    ([call("aten.as_strided.default", INPUT, [9], [1])], "as_strided.default' is not one"),
    ([call("os.system", "ls")], "'os.system' is not one"),
    ([call("operator.pow", 9, 9)], "'operator.pow' is not one"),
    ([call("aten.relu.default", {"value": "linear"}), LINEAR], "takes the value 'linear', which no earlier call"),
    ([call("aten.relu.default", {"value": "more"}), LINEAR], "'more' takes the value 'more', which no earlier call"),
    ([LINEAR, LINEAR], "two values are called 'linear'"),
    ([LINEAR, call("aten.relu.default", {"tensor": "tail"})], "takes the tensor 'tail', which is not described"),
    ([LINEAR, call("aten.relu.default", {"value": "mask"})], "takes a mask, and the network's input has none"),
    ([LINEAR, call("aten.zero_.default", {"tensor": "head.weight"})], "writes into the parameter 'head.weight'"),
    ([call("aten.relu.default", INPUT)], "no call gives the output 'linear'"),
    ([], "at least 1 item"),
    ([LINEAR] * (MAX_CALLS + 1), f"at most {MAX_CALLS} items"),
    ([call("aten.sum.default", NESTED)], "nested more than 4 deep"),
    ([call("aten.sum.default", [0] * (MAX_PARTS + 1))], "arguments; at most 2,000"),
    ([call("aten.zeros.default", [10**30])], "more than 64 bits"),
    ([call("aten.sum.default", {"file": "/etc/passwd"})], "'file' is not a kind of argument"),
    ([call("aten.sum.default", {"value": "input", "tensor": "x"})], "has one key"),
    ([call("aten.sum.default", {"value": 3})], "'value' is not a kind"),
    ([call("aten.sum.default", {"dtype": "complex64"})], "the dtype 'complex64' is not one of"),
    ([call("aten.sum.default", {"device": "cuda:7"})], "the device 'cuda:7' is not one of"),
    ([call("aten.sum.default", "/etc/passwd")], "is not a word that operators know"),
    ([{**LINEAR, "name": "__import__('os')"}], "match pattern"),
    ([{**LINEAR, "code": "1"}], "unknown field 'code'"),
]  # fmt: skip


@pytest.mark.parametrize(("calls", "text"), WRONG_CALLS)
def test_a_wrong_call_is_told(calls: list[Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Graph.model_validate_json(json.dumps(described(calls)))


WRONG_TENSORS: list[tuple[list[Any], str]] = [
    ([WEIGHT, WEIGHT], "two tensors are called 'head.weight'"),
    ([WEIGHT, {"name": "x", "shape": [2**50]}], "less than or equal to"),
    ([WEIGHT, {"name": "x", "shape": [-1]}], "greater than or equal to 0"),
    ([WEIGHT, {"name": "x", "shape": [1] * 17}], "at most 16 items"),
    ([WEIGHT, {"name": "a..b", "shape": [1]}], "a part of it between dots is empty"),
    ([WEIGHT, {"name": "x\n", "shape": [1]}], "match pattern"),
    ([WEIGHT, {"name": "x", "shape": [3, 4], "tied_to": "y"}], "'x' is tied to 'y', which is not described before it"),
    ([WEIGHT, {"name": "x", "shape": [3, 4], "tied_to": "x"}], "tied to 'x', which is not described before it"),
    ([WEIGHT, {"name": "x", "shape": [4], "tied_to": "head.weight"}], "has another shape, dtype or role"),
    ([WEIGHT, {"name": "x", "shape": [4], "dtype": "int64"}], "holds int64 and cannot be trained"),
    ([WEIGHT, {"name": "x", "shape": [4], "dtype": "object"}], "Input should be 'float64'"),
    ([WEIGHT, {"name": "x", "shape": [4], "role": "constant"}], "'x' has no values, and no file of weights holds them"),
    ([WEIGHT, constant(packed(b"\0" * 2**28), [1])], "the values take more than 4 bytes, and dtype and shape say 4"),
    ([WEIGHT, constant(packed(b"\0" * 3), [1])], "the values take 3 bytes, and dtype and shape say 4"),
    ([WEIGHT, constant(packed(b"\0" * 4), [2**30])], "would take 4,294,967,296 bytes: too many"),
    ([WEIGHT, constant("AAAA", [1])], "not base64 of what zlib packed"),
    ([WEIGHT, constant("?", [1])], "not base64 of what zlib packed"),
    ([WEIGHT, constant(packed(b"\0" * 4)[:-8], [1])], "the values take 3 bytes, and"),
    ([WEIGHT, *({**constant(packed(b"\0" * 2**23), [2**21]), "name": f"c{place}"} for place in range(3))],
     "values of 25,165,824 bytes lie in the description; at most 16,777,216 may"),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "text"), WRONG_TENSORS)
def test_a_wrong_tensor_is_told(tensors: list[Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Graph.model_validate_json(json.dumps(described(tensors=tensors)))


def test_evaluation_changes_nothing() -> None:
    counting = call("aten.add_.Tensor", {"tensor": "count"}, 1, name="counting")
    graph = Graph.model_validate(described([counting, LINEAR], [WEIGHT, COUNT]))
    assert [one.name for one in graph.in_evaluation.calls] == ["linear"]
    with pytest.raises(ValidationError, match="in evaluation the call 'counting' writes into a buffer"):
        Graph.model_validate(
            described([LINEAR], [WEIGHT, COUNT], evaluation={"calls": [counting, LINEAR], "output": "linear"})
        )
    looked_at = call("aten.mul.Tensor", {"value": "linear"}, {"value": "counting"})
    with pytest.raises(ValidationError, match="takes the value 'counting', which no earlier call gives"):
        Graph.model_validate(described([counting, LINEAR, looked_at], [WEIGHT, COUNT]))


@pytest.mark.parametrize("written", ["args", "kwargs"])
def test_switches_are_flipped_where_they_stand(written: str) -> None:
    value = {"value": "linear"}
    args, kwargs = ([value, value, value, None, 0.3], {}) if written == "args" else ([value] * 3, {"dropout_p": 0.3})
    attention = call("aten.scaled_dot_product_attention.default", *args, **kwargs)
    graph = Graph.model_validate(described([LINEAR, attention]))
    found = graph.in_evaluation.calls[1]
    assert (found.args[-1] if written == "args" else found.kwargs["dropout_p"]) == 0.0


@pytest.mark.parametrize(
    ("takes", "kind", "shape", "text"),
    [
        ({"kind": "array", "shape": [3, 8]}, "array", (3, 8), None),
        ({"kind": "array", "shape": [3, 8]}, "image", (3, 9), r"captured with samples of shape \(3, 8\), not \(3, 9\)"),
        ({"kind": "array", "shape": [3, 8]}, "text", (), "captured with arrays"),
        ({"kind": "tokens", "vocabulary": 9}, "text", (), None),
        ({"kind": "tokens", "vocabulary": 9}, "array", (3,), "captured with texts, and these samples are array"),
    ],
)
def test_samples_are_those_of_the_capture(takes: Any, kind: Any, shape: tuple[int, ...], text: str | None) -> None:
    refusal = Graph.model_validate(described(input=takes)).refuses(kind, shape)
    assert refusal is None if text is None else re.search(text, refusal or "")


def test_the_lists_of_operators_agree() -> None:
    assert set(MODES) <= OPERATORS
    assert set(UNDEFINED) <= OPERATORS
    assert set(UNDEFINED.values()) <= OPERATORS
    assert not [name for name in SIZES if name.startswith("aten.")]
