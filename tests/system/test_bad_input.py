"""Bad input, through the real service: a clear error that names the trouble, and nothing is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillhouse import DatasetRejected, InvalidSpec, ModelRejected, Stillhouse
from stillhouse.embedded import EmbeddedStack

pytestmark = pytest.mark.xdist_group("stack")
ARCHITECTURE = {"kind": "mlp", "inputs": 4, "hidden": [8], "classes": 3}


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Any:
    with Stillhouse(stack.url) as client:
        yield client


def network(**changes: int) -> dict[str, torch.Tensor]:
    width = {"inputs": 4, "hidden": 8, "classes": 3, **changes}
    layers = torch.nn.Sequential(
        torch.nn.Linear(width["inputs"], width["hidden"]),
        torch.nn.ReLU(),
        torch.nn.Linear(width["hidden"], width["classes"]),
    )
    return layers.state_dict()


def missing() -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network().items() if name != "2.bias"}


def poisoned() -> dict[str, torch.Tensor]:
    weights = network()
    weights["0.weight"][0, 0] = float("nan")
    return weights


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (network(hidden=9), ["0.weight", "(8, 4)", "(9, 4)"]),
        (network(classes=4), ["2.weight", "(3, 8)", "(4, 8)"]),
        (missing(), ["layers.1.bias"]),
        ({**network(), "3.weight": torch.zeros(2, 2)}, ["3.weight"]),
        (poisoned(), ["0.weight", "finite"]),
    ],
    ids=["hidden", "classes", "missing", "unexpected", "nan"],
)
def test_weights_that_do_not_fit_are_told_by_name_and_shape(
    client: Stillhouse, tmp_path: Path, weights: dict[str, torch.Tensor], words: list[str]
) -> None:
    torch.save(weights, tmp_path / "weights.pt")
    key_map = {"0": "layers.0", "2": "layers.1"}
    with pytest.raises(ModelRejected) as refusal:
        client.models.create(tmp_path / "weights.pt", architecture=ARCHITECTURE, key_map=key_map)
    for word in words:
        assert word in str(refusal.value)


INPUTS = np.zeros((6, 4), dtype=np.float32)
NAN = INPUTS.copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"inputs": NAN}, "3"),
        ({"inputs": INPUTS[:0]}, "empty"),
        ({"inputs": INPUTS, "labels": np.array([0, 1, 2, -2, 0, 1])}, "-2"),
        ({"inputs": INPUTS, "labels": np.array([0.5] * 6)}, "labels"),
        ({"inputs": INPUTS, "labels": np.array([0, 1])}, "2"),
        ({"pixels": INPUTS}, "pixels"),
        ({"inputs": INPUTS, "split": np.array([0, 1, 2, 3, 0, 0])}, "split"),
    ],
    ids=["nan", "empty", "label", "fraction", "rows", "name", "split"],
)
def test_data_that_cannot_be_trained_on(client: Stillhouse, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(DatasetRejected, match=words):
        client.datasets.create(arrays)


@pytest.fixture(scope="module")
def teacher(client: Stillhouse) -> Any:
    return client.models.create(network(), architecture=ARCHITECTURE)


@pytest.mark.parametrize(
    ("labels", "changes", "pointer"),
    [
        ([0, 1, 2, 3, 0, 0], {}, "/transfer_set"),
        ([0] * 6, {"student": {"architecture": {**ARCHITECTURE, "classes": 4}}}, "/student/architecture/classes"),
        ([0] * 6, {"student": {"architecture": {**ARCHITECTURE, "inputs": 5}}}, "/student/architecture"),
        ([-1] * 6, {"objective": [{"kind": "hard_target"}]}, "/objective/0"),
    ],
    ids=["label out of range", "class counts", "input width", "no labels"],
)
def test_a_job_that_cannot_work_is_refused(
    client: Stillhouse, teacher: Any, labels: list[int], changes: dict[str, Any], pointer: str
) -> None:
    data = client.datasets.create({"inputs": INPUTS, "labels": np.array(labels)})
    wanted = {"student": {"architecture": ARCHITECTURE}, **changes}
    with pytest.raises(InvalidSpec) as refusal:
        client.jobs.create(teacher=teacher, transfer_set=data, **wanted)
    assert pointer in [problem.pointer for problem in refusal.value.errors]
