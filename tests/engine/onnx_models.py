"""ONNX models for the tests: built node by node, or exported by torch."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Shape = Sequence[int | str | None]
WEIGHT = np.arange(18, dtype=np.float32).reshape(6, 3) / 9 - 1
LINEAR = helper.make_node("MatMul", ["x", "w"], ["y"])


def model(
    *nodes: Any,
    inputs: Shape = ("batch", 6),
    outputs: dict[str, Shape] | None = None,
    kind: int = TensorProto.FLOAT,
    weights: dict[str, np.ndarray] | None = None,
    more_inputs: Sequence[str] = (),
    **more: Any,
) -> onnx.ModelProto:
    """Return a model from `x` to `y`; by default a linear one with the weights `w`."""
    nodes = nodes or (LINEAR,)
    outputs = outputs or {"y": ("batch", 3)}
    weights = {"w": WEIGHT} if weights is None else weights
    graph = helper.make_graph(
        list(nodes),
        "teacher",
        [helper.make_tensor_value_info(name, kind, inputs) for name in ("x", *more_inputs)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("of.mine", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **more)


def outside(tensor: TensorProto, location: str = "/etc/passwd") -> TensorProto:
    """Move a tensor's values to another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def exported(network: nn.Module, sample: torch.Tensor) -> bytes:
    """Return a torch module as ONNX, the batch left open."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        torch.onnx.export(
            network.eval(), (sample,), file, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
        )  # fmt: skip
    return file.getvalue()


def branch(name: str, tensor: TensorProto) -> onnx.GraphProto:
    kept = helper.make_node("Constant", [], [name], value=tensor)
    return helper.make_graph([kept], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, (6, 3))])


def picking(other: TensorProto) -> onnx.ModelProto:
    """A model that picks its weights by control flow."""
    mine = numpy_helper.from_array(WEIGHT, "mine")
    fork = helper.make_node("If", ["yes"], ["v"], then_branch=branch("a", mine), else_branch=branch("b", other))
    return model(fork, helper.make_node("MatMul", ["x", "v"], ["y"]), weights={"yes": np.array(True)})


def called(body: str) -> onnx.ModelProto:
    """A model that calls a function of its own, which calls `body`."""
    node = helper.make_node(body, ["a", "b"], ["c"], domain="" if body == "MatMul" else "of.mine")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("of.mine", 1)]
    function = helper.make_function("of.mine", "Dense", ["a", "b"], ["c"], [node], opsets)
    return model(helper.make_node("Dense", ["x", "w"], ["y"], domain="of.mine"), functions=[function])
