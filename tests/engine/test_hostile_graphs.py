"""Captured networks that cannot run: a job refuses them too, and what may be called is harmless. See tests/hostile."""

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
from tests.hostile.graphs import HUGE, LINEAR, graph
from worker.engine.failures import EngineFailure
from worker.engine.graphs.operators import resolve

RunHere = Callable[[Path], None]


def said_of(folder: Path, architecture: Graph) -> str:
    held = {tensor.name: torch.zeros(tensor.shape) for tensor in architecture.tensors}
    save_file(held, folder / "upload")
    return said(model(folder / "upload", architecture))


def test_what_is_sound_is_taken(tmp_path: Path) -> None:
    assert said_of(tmp_path, graph(LINEAR)) == ""


def test_stored_weights_of_another_shape_are_told(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3, 5)}, tmp_path / "upload")
    assert "weight (3, 5) instead of (3, 6)" in said(model(tmp_path / "upload", graph(LINEAR)))


def test_a_job_refuses_it_too(tmp_path: Path, run_here: RunHere) -> None:
    bomb = graph(("aten.zeros.default", [[HUGE]]))
    with pytest.raises(EngineFailure, match=r"The student does not run: .* more than 4,294") as failure:
        run_here(make(tmp_path, student=bomb))
    assert failure.value.code is FailureCode.INVALID_SPEC


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
