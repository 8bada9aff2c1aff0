"""ONNX models that reach out of their file, run what is not standard, or grow from a few bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from app.contract.architectures import Onnx
from tests.engine.onnx_models import WEIGHT, called, model, outside, picking
from tests.hostile import case
from tests.hostile.case import Case

VALID = "not a valid ONNX model"


def black_box(name: str, made: Callable[[], onnx.ModelProto | bytes], said: str, **family: Any) -> Case:
    def write(path: Path) -> None:
        content = made()
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())

    return case.model(name, write, said, Onnx(**{"classes": 3, **family}))


def renamed(name: bytes) -> bytes:
    """Return a model in which a name is no longer UTF-8."""
    content = model(helper.make_node("MatMul", ["x", "www"], ["y"]), weights={"www": WEIGHT})
    return content.SerializeToString().replace(name, b"\xff" * len(name))


def with_external_weights(location: str = "/etc/passwd") -> onnx.ModelProto:
    content = model()
    outside(content.graph.initializer[0], location)
    return content


def initializer(**changes: Any) -> onnx.ModelProto:
    """Return a model whose weights have other fields."""
    content = model()
    tensor = content.graph.initializer[0]
    for name, value in changes.items():
        tensor.ClearField(name)
        getattr(tensor, name).extend(value) if isinstance(value, list) else setattr(tensor, name, value)
    return content


def grown(*sizes: int) -> onnx.ModelProto:
    """Return a model that makes a constant of these sizes out of nothing, and adds its sum."""
    shape = numpy_helper.from_array(np.array(sizes, np.int64), "s")
    nodes = (
        helper.make_node("Constant", [], ["s"], value=shape),
        helper.make_node("ConstantOfShape", ["s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Add", ["z", "sum"], ["y"]),
    )
    return model(*nodes)


def doubling(levels: int) -> onnx.ModelProto:
    """Return a model whose functions each call the one before twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("of.mine", 1)]

    def level(number: int) -> Any:
        inner, domain = (f"f{number - 1}", "of.mine") if number else ("Relu", "")
        nodes = [
            helper.make_node(inner, ["a"], ["b"], domain=domain),
            helper.make_node(inner, ["b"], ["c"], domain=domain),
        ]
        return helper.make_function("of.mine", f"f{number}", ["a"], ["c"], nodes, opsets)

    top = helper.make_node(f"f{levels - 1}", ["z"], ["y"], domain="of.mine")
    return model(
        helper.make_node("MatMul", ["x", "w"], ["z"]), top, functions=[level(number) for number in range(levels)]
    )


def nested(levels: int) -> onnx.ModelProto:
    """Return a model of branches in branches."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["v0"])], "g", [], [helper.make_empty_tensor_value_info("v0")]
    )
    for number in range(1, levels):
        fork = helper.make_node("If", ["yes"], [f"v{number}"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([fork], "g", [], [helper.make_empty_tensor_value_info(f"v{number}")])
    fork = helper.make_node("If", ["yes"], ["v"], then_branch=inner, else_branch=inner)
    return model(fork, helper.make_node("MatMul", ["v", "w"], ["y"]), weights={"w": WEIGHT, "yes": np.array(True)})


def endless() -> onnx.ModelProto:
    """Return a model with a loop that has no end."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["more"]), helper.make_node("Add", ["v", "one"], ["next"])], "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, [])],
        [info("more", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["", "yes", "one"], ["sum"], body=body)
    more = {"w": WEIGHT, "yes": np.array(True), "one": np.array(1, np.float32)}
    return model(
        loop, helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "sum"], ["y"]), weights=more
    )


def circle() -> onnx.ModelProto:
    return model(helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
                 helper.make_node("MatMul", ["b", "w"], ["y"]))  # fmt: skip


def sparse(*sizes: int) -> onnx.ModelProto:
    """Return a model whose weights are stored as two values of very many."""
    content = model(weights={})
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    places = helper.make_tensor("places", TensorProto.INT64, [2], [0, 1])
    content.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, list(sizes)))
    return content


def flood(tensors: int) -> onnx.ModelProto:
    content = model()
    one = numpy_helper.from_array(np.zeros(1, np.float32), "t").SerializeToString()
    for number in range(tensors):
        made = content.graph.initializer.add()
        made.ParseFromString(one)
        made.name = f"t{number}"
    return content


def custom(name: str, domain: str) -> Callable[[], onnx.ModelProto]:
    return lambda: model(helper.make_node(name, ["x", "w"], ["y"], domain=domain))


def random() -> onnx.ModelProto:
    return model(helper.make_node("RandomNormalLike", ["x"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["y"]))


def logarithms() -> onnx.ModelProto:
    nodes = helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Log", ["z"], ["y"])
    return model(*nodes, weights={"w": -abs(WEIGHT) - 1})


CASES: list[Case] = [
    black_box("ONNX: external data", with_external_weights, r"Tensors lie in other files: w\. .*external_data=False"),
    black_box("ONNX: external data that lead out", lambda: with_external_weights("../../job.json"), "other files: w"),
    black_box("ONNX: external data in a branch", lambda: picking(outside(numpy_helper.from_array(WEIGHT, "hidden"))),
        "other files: hidden"),
    black_box("ONNX: a custom operator", custom("Exfiltrate", "of.mine"),
        r"outside the ONNX standard are not run: of\.mine\.Exfiltrate"),
    black_box("ONNX: the runtime's own operator", custom("FusedMatMul", "com.microsoft"),
        r"not run: com\.microsoft\.FusedMatMul"),
    black_box("ONNX: Python's operator", custom("PyOp", "ai.onnx.contrib"), "not run: ai.onnx.contrib.PyOp"),
    black_box("ONNX: an unknown operator", custom("Nonsense", ""), VALID),
    black_box("ONNX: a function in a circle", lambda: called("Dense"), "call each other in a circle"),
    black_box("ONNX: functions that call two to the 40", lambda: doubling(40), "functions come to more than"),
    black_box("ONNX: 2^12 branches in branches", lambda: nested(12), ""),
    black_box("ONNX: a graph in a circle", circle, VALID),
    black_box("ONNX: random numbers", random, r"draws random numbers \(RandomNormalLike\)"),
    black_box("ONNX: 40 GB out of 92 bytes", lambda: grown(100_000, 100_000), "Failed to allocate memory"),
    black_box("ONNX: more than memory has addresses", lambda: grown(2**40, 2**40), "Integer overflow"),
    black_box("ONNX: sizes below zero", lambda: grown(-5, 7), "cannot run the model"),
    black_box("ONNX: sparse weights of 4 TB", lambda: sparse(10**6, 10**6), "onnxruntime .* cannot run the model"),
    black_box("ONNX: 50,001 tensors", lambda: flood(50_000), "holds 50,001 tensors; at most 50,000"),
    black_box("ONNX: weights too short", lambda: initializer(raw_data=b"\0" * 8), VALID),
    black_box("ONNX: weights of a negative size", lambda: initializer(dims=[-6, -3]), VALID),
    black_box("ONNX: weights of 2^62 x 4", lambda: initializer(dims=[2**62, 4]), VALID),
    black_box("ONNX: weights of an unknown type", lambda: initializer(data_type=77), VALID),
    black_box("ONNX: weights that are strings", lambda: initializer(data_type=8, raw_data=b""), VALID),
    black_box("ONNX: NaN weights", lambda: model(weights={"w": WEIGHT * np.nan}), "NaN or infinite outputs"),
    black_box("ONNX: not a number", logarithms, "NaN or infinite outputs"),
    black_box("ONNX: names that are no text", lambda: renamed(b"www"), VALID),
    black_box("ONNX: axes that are no text", lambda: renamed(b"batch"), VALID),
    black_box("ONNX: a name of 1 MB",
        lambda: model(helper.make_node("MatMul", ["x", "w" * 10**6], ["y"]), weights={"w" * 10**6: WEIGHT}), ""),
    black_box("ONNX: a name with NUL",
        lambda: model(helper.make_node("MatMul", ["x", "w\0"], ["y"]), weights={"w\0": WEIGHT}), ""),
    black_box("ONNX: cut short", lambda: model().SerializeToString()[:-20], "not an ONNX model, or is cut short"),
    black_box("ONNX: messages 5,000 deep", lambda: _deep(5_000), "not an ONNX model"),
    black_box("ONNX: a length of 2^63", lambda: b"\x08\x07\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "not an ONNX model"),
    black_box("ONNX: a version of 2^31 - 1", lambda: b"\x08\xff\xff\xff\xff\x07" + model().SerializeToString()[2:],
        VALID),
    black_box("ONNX: text", lambda: b"hello, I am a model", "not an ONNX model"),
    black_box("ONNX: nothing", lambda: b"", VALID),
    black_box("ONNX: a pickle", lambda: b"\x80\x04K\x01.", "looks like a bare pickle"),
    black_box("ONNX: a sample of 10^24 numbers", lambda: model(inputs=("batch", "a", "b")), "and sample says",
        sample=(16_777_216,) * 3),
]  # fmt: skip


def _deep(levels: int) -> bytes:
    """Return messages in messages: graph, node, attribute, graph, ..."""
    content = b""
    for _ in range(levels):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            content = tag + _varint(len(content)) + content
    return b"\x08\x07\x3a" + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    held = b""
    while number > 127:
        held, number = held + bytes([number & 127 | 128]), number >> 7
    return held + bytes([number])
