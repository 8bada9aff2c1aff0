"""Captured networks that are well-formed and still cannot run: refused on shapes alone, nothing is allocated."""

from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import save_file

from app.contract.architectures import Graph
from tests.hostile.case import Case, model

INPUT, WEIGHT = {"value": "input"}, {"tensor": "weight"}
SIZE = ("aten.sym_size.int", [INPUT, 0])
LINEAR = ("aten.linear.default", [INPUT, WEIGHT])
C0 = {"value": "c0"}
HUGE = 10**12
NUMBERS = "more than 4,294,967,296 numbers of each sample"
Step = tuple[str, list[Any]]


def graph(*steps: Step, shape: tuple[int, ...] = (3, 6), **more: Any) -> Graph:
    """Return a network of calls `c0`, `c1`, ...; the last one answers."""
    calls = [{"name": f"c{place}", "operator": step[0], "args": step[1]} for place, step in enumerate(steps)]
    return Graph.model_validate({
        "classes": 3,
        "input": {"kind": "array", "shape": [6]},
        "tensors": [{"name": "weight", "shape": shape, "start": {"kind": "filled"}}, *more.get("tensors", [])],
        "training": {"calls": calls, "output": calls[-1]["name"]},
    })  # fmt: skip


def captured(name: str, steps: Sequence[Step], said: str, **more: Any) -> Case:
    described = graph(*steps, **more)
    held = {tensor.name: torch.zeros(tensor.shape) for tensor in described.tensors}
    return model(f"graph: {name}", lambda path: save_file(held, path), said, described)


def chain(*operators: str) -> list[Step]:
    """Return calls of which each takes the answer of the one before."""
    return [LINEAR, *((operator, [{"value": f"c{place}"}]) for place, operator in enumerate(operators))]


SQUARES = [("operator.mul", [{"value": f"c{place}"}] * 2) for place in range(60)]
GROWING = [("operator.mul", [{"value": f"c{place}"}, C0]) for place in range(4)]
DOUBLING = [("aten.cat.default", [[{"value": f"c{place}"}] * 2, 1]) for place in range(40)]
CASES: list[Case] = [
    captured("an argument too few", [("aten.linear.default", [INPUT])],
        r"'c0' \(aten.linear.default\) lacks the argument 'weight'"),
    captured("an argument too many", [("aten.relu.default", [INPUT, 1])],
        "has 2 arguments, and its operator takes 1"),
    captured("a number for a tensor", [("aten.relu.default", [7])], "In the call 'c0' of aten.relu.default"),
    captured("a word for a tensor", [("aten.linear.default", [INPUT, "same"])],
        "In the call 'c0' of aten.linear.default"),
    captured("shapes that do not go together", [("aten.matmul.default", [INPUT, WEIGHT])],
        "In the call 'c0' of aten.matmul.default"),
    captured("a part of a tensor", [("operator.getitem", [INPUT, 0])], "only a numbered part of several answers"),
    captured("arithmetic on tensors", [("operator.mul", [INPUT, 2])], "arithmetic on sizes takes numbers"),
    captured("arithmetic on lists", [("operator.mul", [[0], HUGE])], "arithmetic on sizes takes numbers"),
    captured("a size squared sixty times", [SIZE, *SQUARES], "more than 64 bits"),
    captured("zeros of 10^12", [("aten.zeros.default", [[HUGE]])], f"{NUMBERS}.*'c0' of aten.zeros.default"),
    captured("a range to 10^12", [("aten.arange.default", [HUGE])], NUMBERS),
    captured("the input 10^12 times", [("aten.repeat.default", [INPUT, [1, HUGE]])], NUMBERS),
    captured("the input expanded to 10^12", [("aten.expand.default", [INPUT, [HUGE, -1, -1]])],
        f"In the call 'c0'|{NUMBERS}"),
    captured("padding of 10^12", [("aten.pad.default", [INPUT, [HUGE, HUGE]])], NUMBERS),
    captured("the fifth power of a batch", [SIZE, *GROWING, ("aten.zeros.default", [[{"value": "c4"}]]), LINEAR],
        NUMBERS),
    captured("itself, twice, forty times", [LINEAR, *DOUBLING], NUMBERS),
    captured("a number for logits", [LINEAR, ("aten.sum.default", [C0])],
        r"answers with \(\) of float32 and not with logits of shape \(2, 3\)"),
    captured("booleans for logits", [LINEAR, ("aten.eq.Scalar", [C0, 0])], r"answers with \(2, 3\) of bool"),
    captured("an index by values",
        [LINEAR, ("aten.gt.Scalar", [C0, 0]), ("aten.index.Tensor", [C0, [{"value": "c1"}]])], "In the call 'c2'"),
    captured("a division by nothing",
        [SIZE, ("operator.sub", [C0, C0]), ("operator.floordiv", [C0, {"value": "c1"}]), LINEAR],
             "In the call 'c2' of operator.floordiv"),
    captured("negative sizes", [("aten.zeros.default", [[-5]])], "In the call 'c0' of aten.zeros.default"),
    captured("a parameter of another shape", [LINEAR], "In the call 'c0' of aten.linear.default", shape=(3, 7)),
    *(captured(f"a tensor called {name}", [LINEAR], f"No tensor can be called '{name}'",
               tensors=[{"name": name, "shape": [1], "start": {"kind": "filled"}}]) for name in ("forward",
                   "weight.below", "training")),
    captured("2,000 calls", chain(*["aten.relu.default"] * 2_000), ""),
]  # fmt: skip
