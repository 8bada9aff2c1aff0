"""Descriptions that are well-formed and still cannot run: each is refused on shapes alone, and nothing is allocated."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from app.contract.architectures import Graph
from app.contract.graphs.operators import MODES, OPERATORS, SIZES, writes
from app.contract.states import FailureCode
from tests.engine.folders import make
from tests.engine.uploads import model, said
from worker.engine.failures import EngineFailure
from worker.engine.graphs.operators import resolve

RunHere = Callable[[Path], None]
INPUT, WEIGHT = {"value": "input"}, {"tensor": "weight"}
SIZE = ("aten.sym_size.int", [INPUT, 0])


def graph(*steps: tuple[str, list[Any]], shape: tuple[int, ...] = (3, 6), **more: Any) -> Graph:
    """Return a network of calls `c0`, `c1`, ...; the last one answers."""
    calls = [{"name": f"c{place}", "operator": step[0], "args": step[1]} for place, step in enumerate(steps)]
    return Graph.model_validate({
        "classes": 3,
        "input": {"kind": "array", "shape": [6]},
        "tensors": [{"name": "weight", "shape": shape, "start": {"kind": "filled"}}, *more.get("tensors", [])],
        "training": {"calls": calls, "output": calls[-1]["name"]},
    })  # fmt: skip


def said_of(folder: Path, architecture: Graph) -> str:
    held = {tensor.name: torch.zeros(tensor.shape) for tensor in architecture.tensors}
    save_file(held, folder / "upload")
    return said(model(folder / "upload", architecture))


LINEAR = ("aten.linear.default", [INPUT, WEIGHT])
C0 = {"value": "c0"}
HUGE = 10**12
WRONG: list[tuple[list[tuple[str, list[Any]]], str]] = [
    ([("aten.linear.default", [INPUT])], r"'c0' \(aten.linear.default\) lacks the argument 'weight'"),
    ([("aten.relu.default", [INPUT, 1])], "has 2 arguments, and its operator takes 1"),
    ([("aten.relu.default", [7])], "In the call 'c0' of aten.relu.default"),
    ([("aten.linear.default", [INPUT, "same"])], "In the call 'c0' of aten.linear.default"),
    ([("aten.matmul.default", [INPUT, WEIGHT])], "In the call 'c0' of aten.matmul.default"),
    ([("operator.getitem", [INPUT, 0])], "only a numbered part of several answers"),
    ([("operator.mul", [INPUT, 2])], "arithmetic on sizes takes numbers"),
    ([("operator.mul", [[0], HUGE])], "arithmetic on sizes takes numbers"),
    ([SIZE, *[("operator.mul", [{"value": f"c{place}"}] * 2) for place in range(60)]], "more than 64 bits"),
    ([("aten.zeros.default", [[HUGE]])], "more than 4,294,967,296 numbers of each sample.*'c0' of aten.zeros.default"),
    ([("aten.arange.default", [HUGE])], "more than 4,294,967,296 numbers"),
    ([("aten.repeat.default", [INPUT, [1, HUGE]])], "more than 4,294,967,296 numbers"),
    ([("aten.expand.default", [INPUT, [HUGE, -1, -1]])], "In the call 'c0'|more than 4,294,967,296 numbers"),
    ([("aten.pad.default", [INPUT, [HUGE, HUGE]])], "more than 4,294,967,296 numbers"),
    ([SIZE, *[("operator.mul", [{"value": f"c{place}"}, C0]) for place in range(4)],
      ("aten.zeros.default", [[{"value": "c4"}]]), LINEAR], "more than 4,294,967,296 numbers"),
    ([LINEAR, ("aten.sum.default", [C0])], r"answers with \(\) of float32 and not with logits of shape \(2, 3\)"),
    ([LINEAR, ("aten.eq.Scalar", [C0, 0])], r"answers with \(2, 3\) of bool"),
    ([LINEAR, ("aten.gt.Scalar", [C0, 0]), ("aten.index.Tensor", [C0, [{"value": "c1"}]])], "In the call 'c2'"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "text"), WRONG, ids=[text[-30:] for _, text in WRONG])
def test_it_is_refused_at_inspection(tmp_path: Path, steps: list[tuple[str, list[Any]]], text: str) -> None:
    found = said_of(tmp_path, graph(*steps))
    assert re.search(text, found), found


def test_what_is_sound_is_taken(tmp_path: Path) -> None:
    assert said_of(tmp_path, graph(LINEAR)) == ""


def test_a_parameter_of_another_shape_is_refused_before_it_is_multiplied(tmp_path: Path) -> None:
    assert "In the call 'c0' of aten.linear.default" in said_of(tmp_path, graph(LINEAR, shape=(3, 7)))
    save_file({"weight": torch.zeros(3, 5)}, tmp_path / "upload")
    assert "weight (3, 5) instead of (3, 6)" in said(model(tmp_path / "upload", graph(LINEAR)))


def test_names_that_a_module_cannot_hold_are_refused(tmp_path: Path) -> None:
    for name in ("forward", "weight.below", "training"):
        more = [{"name": name, "shape": [1], "start": {"kind": "filled"}}]
        assert f"No tensor can be called '{name}'" in said_of(tmp_path, graph(LINEAR, tensors=more))


def test_a_job_refuses_it_too(tmp_path: Path, run_here: RunHere) -> None:
    bomb = graph(("aten.zeros.default", [[HUGE]]))
    with pytest.raises(EngineFailure, match=r"The student does not run: .* more than 4,294") as failure:
        run_here(make(tmp_path, student=bomb))
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_a_deep_network_is_taken(tmp_path: Path) -> None:
    chain = [("aten.relu.default", [{"value": f"c{place}"}]) for place in range(500)]
    assert said_of(tmp_path, graph(LINEAR, *chain)) == ""


def test_every_listed_operator_is_torchs_own_and_harmless() -> None:
    for name in OPERATORS - SIZES:
        own: Any = resolve(name)
        assert own.namespace == "aten"
        assert own._schema.is_mutable == writes(name), name
        assert not {"data_dependent_output"} & {str(tag).removeprefix("Tag.") for tag in own.tags}, name
        kinds = {str(argument.type) for argument in own._schema.arguments}
        assert not {"Storage", "Stream", "Any"} & kinds, name
        if name in MODES:
            assert own._schema.arguments[MODES[name][0]].name == MODES[name][1]
    for name in SIZES:
        assert callable(resolve(name))
