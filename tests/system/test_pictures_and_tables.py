"""Pictures and tables through the real service: jobs that work, and uploads that are refused with what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillhouse import DatasetRejected, InvalidSpec, Stillhouse
from stillhouse.embedded import EmbeddedStack
from tests.engine.pictures import picture, zipped
from tests.engine.test_image_sets import bomb

pytestmark = pytest.mark.xdist_group("stack")
PICTURES = {f"{name}/{number}.png": picture(number, (4, 4), "L") for name in ("cat", "dog") for number in range(10)}
SMALL = {"kind": "mlp", "inputs": 4, "hidden": [2], "classes": 2}


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Any:
    with Stillhouse(stack.url) as client:
        yield client


def teacher(client: Stillhouse, inputs: int, **settings: Any) -> Any:
    architecture = {"kind": "mlp", "inputs": inputs, "hidden": [3], "classes": 2}
    weights = torch.nn.Sequential(torch.nn.Linear(inputs, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    return client.models.create(weights, architecture=architecture, **settings)


def test_a_job_on_pictures(client: Stillhouse, tmp_path: Path) -> None:
    data = client.datasets.create(zipped(tmp_path / "pets.zip", PICTURES), format={"kind": "images"})
    assert data.inspection is not None
    assert (data.inspection.class_names, data.inspection.sample_shape) == (["cat", "dog"], (1, 4, 4))
    made = {"transfer_set": data, "training": {"epochs": 1}, "control": False}
    made["teacher"] = teacher(client, 16, preprocessing={"kind": "image", "mean": [0.5]})
    with pytest.raises(InvalidSpec, match="takes samples of 4 values, not 16"):
        client.jobs.create(student={"architecture": SMALL}, **made)
    flip = [{"kind": "flip"}]
    student = {"architecture": SMALL, "preprocessing": {"kind": "image", "mean": [0.5], "std": [0.5], "size": [2, 2]}}
    job = client.jobs.create(student=student, augmentation=flip, **made).wait()
    assert job.state == "succeeded"
    made["transfer_set"] = client.datasets.create({"inputs": np.zeros((6, 16), np.float32)})
    with pytest.raises(InvalidSpec, match="takes image samples, and these are array"):
        client.jobs.create(student=student, **made)


def test_a_spec_on_a_table(client: Stillhouse) -> None:
    columns = {
        "age": [20.0, 30.0, None, 50.0] * 5,
        "town": ["Bern", "Thun", "Bern", None] * 5,
        "species": ["cat", "dog", "dog", "cat"] * 5,
    }
    data = client.datasets.create(columns, format={"kind": "table", "label": "species"})
    assert data.inspection is not None
    assert [column.inputs for column in data.inspection.columns] == [1, 3, 0]
    spec = {"teacher": teacher(client, 4).id, "student": {"architecture": SMALL}, "transfer_set": data.id}
    assert client.jobs.validate({**spec, "augmentation": [{"kind": "munge"}]}).valid
    answer = client.jobs.validate({**spec, "augmentation": [{"kind": "flip"}]})
    assert [problem.pointer for problem in answer.errors] == ["/augmentation/0"]


REFUSED: dict[str, tuple[bytes | dict[str, bytes], dict[str, Any], str]] = {
    "bomb": ({**PICTURES, "dog/x.png": bomb()}, {"kind": "images"}, "dog/x.png.*50,000,000 pixels"),
    "column": (b"a,b\n1,2\n", {"kind": "table", "label": "species"}, "no column 'species'.*the file has a, b"),
}


@pytest.mark.parametrize(("content", "form", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(client: Stillhouse, tmp_path: Path, content: Any, form: dict[str, Any], text: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content) if isinstance(content, bytes) else zipped(path, content)
    with pytest.raises(DatasetRejected, match=text):
        client.datasets.create(path, format=form)
