"""Learning from what a teacher holds inside, through the real service: what is listed, refused and trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillhouse import Stillhouse
from stillhouse.embedded import EmbeddedStack
from tests.engine.folders import RESNET, SMALL_RESNET
from tests.engine.onnx_models import exported
from worker.engine import build

pytestmark = pytest.mark.xdist_group("stack")
STUDENT = {"architecture": SMALL_RESNET.model_dump()}


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Any:
    with Stillhouse(stack.url) as client:
        yield client


@pytest.fixture(scope="module")
def made(client: Stillhouse) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    images = draw.normal(size=(60, 1, 8, 8)).astype(np.float32)
    data = client.datasets.create({"inputs": images, "labels": draw.integers(0, 3, 60)})
    teacher = client.models.create(build.network(RESNET), architecture=RESNET.model_dump())
    return {"teacher": teacher.id, "student": STUDENT, "transfer_set": data.id, "control": False}


def test_a_model_lists_its_taps(client: Stillhouse, made: dict[str, Any]) -> None:
    found = client.models.get(made["teacher"]).inspection
    assert found is not None
    assert found.taps is not None
    shapes = {tap.name: (tap.layout, tap.shape) for tap in found.taps}
    assert found.tap_sample == (1, 32, 32)
    assert shapes["stage:2"] == ("map", (8, 8, 8))
    assert shapes["layer3.0.conv1"] == ("map", (8, 8, 8))
    assert list(shapes)[:3] == ["stage:0", "stage:1", "stage:2"]


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ({"kind": "hint", "layers": ["stage:3"]}, "in the teacher there is no 'stage:3': it has 3 of them"),
        (
            {"kind": "hint", "layers": [{"teacher": "layer3.0.conv3", "student": "stage:1"}]},
            "there is no 'layer3.0.conv3'; did you mean 'layer3.0.conv",
        ),
        ({"kind": "attention_transfer", "layers": ["pooled"]}, "'pooled' is of the layout vector"),
        ({"kind": "hint", "layers": [{"teacher": "stage:0", "student": "pooled"}]}, "cannot be brought to 'stage:0'"),
        ({"kind": "hint", "member": 1}, "there is no teacher 1"),
    ],
)
def test_what_a_network_lacks_is_refused(
    client: Stillhouse, made: dict[str, Any], term: dict[str, Any], words: str
) -> None:
    [error] = client.jobs.validate({**made, "objective": [{"kind": "soft_target"}, term]}).errors
    assert error.pointer == "/objective/1"
    assert words in error.detail


def test_a_black_box_shows_no_features(client: Stillhouse, made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "teacher.onnx"
    path.write_bytes(exported(build.network(RESNET).eval(), torch.zeros(2, 1, 8, 8)))
    teacher = client.models.create(path, architecture={"kind": "onnx", "classes": 3})
    [error, *_] = client.jobs.validate({**made, "teacher": teacher.id, "objective": [{"kind": "hint"}]}).errors
    assert "black box (ONNX): only its outputs can be learnt from" in error.detail


def test_features_are_learnt(client: Stillhouse, made: dict[str, Any]) -> None:
    objective = [{"kind": "hint"}, {"kind": "attention_transfer", "weight": 10}]
    job = client.jobs.create(**made, objective=objective, training={"epochs": 2, "log_every": 1}).wait()
    assert job.state == "succeeded"
    assert job.report is not None
    assert set(job.report.curves["student"]) >= {"loss/hint", "loss/attention_transfer", "validation/agreement"}
