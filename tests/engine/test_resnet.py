"""ResNets through a whole job: their batch norms count, travel, and come back under the family's names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.contract.architectures import Resnet
from tests.engine.folders import RESNET, SMALL_RESNET, make
from tests.engine.uploads import model
from worker.engine import build
from worker.engine.networks import blueprint

NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def test_parameter_names_are_those_of_the_published_code() -> None:
    norms = [f"bn1.{leaf}" for leaf in NORM]
    block = ["conv1.weight", *norms, "conv2.weight", *[f"bn2.{leaf}" for leaf in NORM]]
    shortcut = ["downsample.0.weight", *[f"downsample.1.{leaf}" for leaf in NORM]]
    names = ["conv1.weight", *norms]
    names += [f"layer1.0.{leaf}" for leaf in block]
    names += [f"layer{stage}.0.{leaf}" for stage in (2, 3) for leaf in [*block, *shortcut]]
    assert list(blueprint.shapes(Resnet(depth=8, classes=10))) == [*names, "fc.weight", "fc.bias"]


def test_a_stem_narrower_than_the_first_stage_is_projected() -> None:
    network = build.network(Resnet(depth=8, widths=(2, 4, 4, 4), channels=1, classes=2))
    assert network.layer1[0].downsample[0].stride == (1, 1)  # type: ignore[index, union-attr]


@pytest.mark.parametrize("height", [8, 15, 33])
def test_halves_are_rounded_up(height: int) -> None:
    network = build.network(SMALL_RESNET)
    seen = []
    network.layer3.register_forward_hook(lambda *call: seen.append(call[-1].shape))
    network(torch.randn(1, 1, height, 8))
    assert seen == [(1, 4, -(-height // 4), 2)]


def test_a_whole_job(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    folder = make(tmp_path, teacher=RESNET, student=SMALL_RESNET, training={"epochs": 2}, spec={"control": False})
    teacher = load_file(folder / "inputs" / "teacher.safetensors")
    run_here(folder)
    exported = load_file(folder / "out" / "student.safetensors")
    student = build.network(SMALL_RESNET)
    student.load_state_dict(exported, strict=True)
    assert {exported[name].item() for name in exported if name.endswith("num_batches_tracked")} == {14}
    assert exported["bn1.running_mean"].any()
    assert not teacher["bn1.running_mean"].any()


def test_a_state_dict_with_counters_passes_inspection(tmp_path: Path) -> None:
    network = build.network(RESNET)
    network(torch.randn(4, 1, 8, 8))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "upload")
    finding = model(tmp_path / "upload", RESNET)
    assert not finding.problems
    converted = load_file(tmp_path / "weights.safetensors")
    assert converted["bn1.num_batches_tracked"] == 1
    assert converted["bn1.num_batches_tracked"].dtype == torch.int64
