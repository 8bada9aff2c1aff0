"""timm's models: built by name, never loaded from anywhere, and opened again by timm itself."""

import inspect
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.contract.architectures import Timm
from app.contract.architectures.timm import _OWN_FIELDS, FORBIDDEN
from app.contract.states import FailureCode
from tests.engine.folders import blobs, make
from tests.engine.uploads import model, said
from worker.engine import build
from worker.engine.failures import EngineFailure, Refused
from worker.engine.networks import blueprint, torchvision_operators

RESNET = Timm(name="resnet10t", classes=3, arguments={"channels": (8, 8, 16, 16), "stem_width": 8})
MOBILE = Timm(name="mobilenetv3_small_050.lamb_in1k", classes=3)
VIT_ARGUMENTS = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
VIT = Timm(name="vit_tiny_patch16_224", classes=3, image_size=32, arguments=VIT_ARGUMENTS)
CONVNEXT = Timm(name="convnext_atto", classes=3, channels=1, arguments={"depths": (1, 1, 1, 1), "drop_path_rate": 0.1})

RunHere = Callable[[Path], None]


def images(samples: int = 24, side: int = 32) -> dict[str, Any]:
    inputs, labels = blobs(samples, (3, side, side))
    return {"inputs": inputs, "labels": labels}


def timm() -> Any:
    build.network(VIT)  # makes it importable
    import timm as library

    return library


@pytest.mark.parametrize(
    ("family", "arguments"),
    [
        (RESNET, {"channels": (8, 8, 16, 16), "stem_width": 8}),
        (MOBILE, {}),
        (VIT, {**VIT_ARGUMENTS, "img_size": 32}),
        (CONVNEXT, {"in_chans": 1, "depths": (1, 1, 1, 1)}),
    ],
    ids=lambda value: value.name if isinstance(value, Timm) else "",
)
def test_names_and_shapes_are_timms_own(
    family: Timm, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", None)  # whoever asked the network for something would fail here
        found = blueprint.shapes(family)
    own = timm().create_model(family.name, num_classes=3, **arguments).state_dict()
    assert found == {name: tuple(tensor.shape) for name, tensor in own.items()}
    assert blueprint.misfit(family, torch.empty(2, family.channels, 32, 32), training=True) is None


@pytest.mark.parametrize("student", [MOBILE, VIT], ids=lambda family: family.name)
def test_timm_opens_the_student(tmp_path: Path, run_here: RunHere, student: Timm) -> None:
    training = {"epochs": 1, "batch_size": 12}
    run_here(make(tmp_path, teacher=RESNET, student=student, training=training, spec={"control": False}, **images()))
    path = tmp_path / "out" / "student.safetensors"
    more = {} if student is MOBILE else {**VIT_ARGUMENTS, "img_size": 32}
    opened = timm().create_model(student.name, num_classes=3, checkpoint_path=str(path), **more).eval()
    ours = build.network(student).eval()
    ours.load_state_dict(load_file(path), strict=True)
    inputs = torch.from_numpy(images()["inputs"])
    with torch.inference_mode():
        assert torch.equal(opened(inputs), ours(inputs))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "resnet17"}, r"timm \S+ has no model 'resnet17'; did you mean 'resnet\d+'\?"),
    ({"name": "resnet18.a1_in2k"}, r"no weights 'resnet18.a1_in2k'.*did you mean 'resnet18.a1_in1k'\?"),
    ({"arguments": {"depht": 3}}, "cannot build 'resnet10t'.*unexpected keyword argument 'depht'"),
    ({"arguments": {"act_layer": "relo"}}, "cannot build 'resnet10t'.*relo"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=[text[-20:] for _, text in REFUSED])
def test_what_timm_does_not_know_is_told_at_inspection_and_at_the_start(
    tmp_path: Path, run_here: RunHere, changes: dict[str, Any], text: str
) -> None:
    wrong = RESNET.model_copy(update=changes)
    (tmp_path / "upload").write_bytes(b"")
    assert re.search(text, said(model(tmp_path / "upload", wrong)))
    with pytest.raises(EngineFailure, match=f"The student cannot be built. .*{text}") as failure:
        run_here(make(tmp_path / "job", teacher=RESNET, student=wrong, **images()))
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_a_worker_without_timm_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    save_file({"a": torch.zeros(1)}, tmp_path / "upload")
    finding = model(tmp_path / "upload", RESNET)
    assert said(finding) == "This worker cannot build timm networks: install stillhouse[timm]."


def test_the_largest_network_is_measured_before_it_is_made(tmp_path: Path, run_here: RunHere) -> None:
    save_file(build.network(RESNET).state_dict(), tmp_path / "upload")
    size = blueprint.size(RESNET)
    assert not model(tmp_path / "upload", RESNET, max_parameters=size).problems
    told = f"The network has {size:,} parameters; this service takes up to {size - 1:,}."
    assert said(model(tmp_path / "upload", RESNET, max_parameters=size - 1)) == told
    # 4.8 billion values, which no test's machine should ever be asked for.
    huge = VIT.model_copy(update={"arguments": {**VIT_ARGUMENTS, "embed_dim": 20_000, "depth": 1}})
    folder = make(tmp_path / "job", teacher=RESNET, student=huge, max_parameters=10**9, **images())
    with pytest.raises(EngineFailure, match=r"The student cannot be built. The network has 4,\d{3},") as failure:
        run_here(folder)
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_a_network_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blueprint, "MAX_TENSORS", 500)
    endless = VIT.model_copy(update={"arguments": {**VIT_ARGUMENTS, "depth": 65_536}})
    with pytest.raises(Refused, match="more than 500 tensors"):
        blueprint.outline(endless)


@pytest.mark.parametrize(
    ("student", "text"),
    [
        (VIT.model_copy(update={"image_size": None}), "does not take .* shape is \\(3, 32, 32\\): .*Input height"),
        (RESNET.model_copy(update={"arguments": {"global_pool": ""}}), "The student does not take"),
    ],
    ids=["built for another size", "without pooling"],
)
def test_images_that_only_the_network_can_refuse(tmp_path: Path, run_here: RunHere, student: Timm, text: str) -> None:
    with pytest.raises(EngineFailure, match=text) as failure:
        run_here(make(tmp_path, teacher=RESNET, student=student, **images()))
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_a_batch_of_one_is_told_before_training(tmp_path: Path, run_here: RunHere) -> None:
    # A batch norm over one pixel of one sample has nothing to norm.
    settings: dict[str, Any] = {"training": {"batch_size": 12}, "transfer_set": {"splits": {"validation": 0}}}
    folder = make(tmp_path, teacher=RESNET, student=MOBILE, **settings, **images(25))
    with pytest.raises(EngineFailure, match=r"single sample .*25 samples leave: choose another batch_size"):
        run_here(folder)
    assert not (tmp_path / "cache").exists()


def test_no_argument_of_timms_own_slips_through() -> None:
    from timm.models._builder import build_model_with_cfg

    named: set[str] = set()
    for function in (timm().create_model, build_model_with_cfg):
        arguments = inspect.signature(function).parameters.items()
        named |= {name for name, one in arguments if one.kind is not one.VAR_KEYWORD}
    assert named - FORBIDDEN - set(_OWN_FIELDS) == set()


def test_nothing_is_declared_where_torchvision_works(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (ModuleType("torchvision"), None):
        monkeypatch.setitem(sys.modules, "torchvision", there)
        assert torchvision_operators.make_importable.__wrapped__() is None
