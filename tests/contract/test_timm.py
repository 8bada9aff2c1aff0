"""What a spec may say of a timm network: a plain name and plain arguments, and nothing that loads anything."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.contract.architectures import Mlp, Timm
from app.contract.architectures.timm import FORBIDDEN


@pytest.mark.parametrize("name", ["resnet18", "vit_base_patch16_224.augreg_in21k", "tf_efficientnetv2_b0"])
def test_names_of_models(name: str) -> None:
    assert Timm(name=name, classes=2).name == name


@pytest.mark.parametrize(
    "name",
    ["hf-hub:timm/resnet18", "hf_hub:timm/resnet18", "local-dir:/etc", "timm/resnet18", "../resnet18", "a\\b",
     "C:resnet18", "", ".", "resnet18.", "ResNet18", "resnet18\n", "a" * 200],
)  # fmt: skip
def test_nothing_else_is_a_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Timm(name=name, classes=2)


@pytest.mark.parametrize("argument", [*sorted(FORBIDDEN), "pretrained_something_new", "checkpoint_url"])
def test_arguments_that_load_something_are_refused(argument: str) -> None:
    with pytest.raises(ValidationError, match=f"the argument '{argument}' cannot be given"):
        Timm(name="resnet18", classes=2, arguments={argument: True})


@pytest.mark.parametrize(
    ("argument", "field"), [("num_classes", "classes"), ("in_chans", "channels"), ("img_size", "image_size")]
)
def test_arguments_with_a_field_of_their_own_name_it(argument: str, field: str) -> None:
    with pytest.raises(ValidationError, match=f"'{argument}' is the field '{field}' here"):
        Timm(name="resnet18", classes=2, arguments={argument: 3})


@pytest.mark.parametrize(
    "value",
    [None, {"a": 1}, "/etc/passwd", "http://x", "a b", "x" * 65, 10**6, float("nan"), [1] * 17, [[1]], ["/etc"]],
)
def test_values_are_plain_and_bounded(value: Any) -> None:
    with pytest.raises(ValidationError):
        Timm(name="resnet18", classes=2, arguments={"drop_rate": value})


def test_values_keep_their_types() -> None:
    given = {"qkv_bias": False, "depth": 2, "drop_rate": 0.0, "global_pool": "avg", "depths": [2, 2], "mix": [1, 0.5]}
    network = Timm.model_validate({"name": "x", "classes": 2, "arguments": given})
    again = Timm.model_validate_json(network.model_dump_json())
    assert again == network
    assert {name: type(value) for name, value in again.arguments.items()} == {
        "qkv_bias": bool, "depth": int, "drop_rate": float, "global_pool": str, "depths": tuple, "mix": tuple,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "shape", "fits"),
    [
        ({}, (3, 32, 40), True),
        ({}, (1, 32, 32), False),
        ({}, (32, 32), False),
        ({"channels": 1}, (1, 32, 32), True),
        ({"image_size": 32}, (3, 32, 32), True),
        ({"image_size": (32, 64)}, (3, 32, 64), True),
        ({"image_size": 32}, (3, 32, 33), False),
        ({"image_size": 32, "arguments": {"dynamic_img_size": True}}, (3, 48, 48), True),
    ],
)
def test_samples_are_images(changes: dict[str, Any], shape: tuple[int, ...], fits: bool) -> None:
    refusal = Timm(name="resnet18", classes=2, **changes).refuses_sample(shape)
    assert (refusal is None) == fits
    assert fits or str(shape[1:]).strip("()") in str(refusal)


def test_a_teachers_key_map_suits_a_student_of_the_same_model_only() -> None:
    student = Timm(name="resnet18", classes=2)
    assert student.shares_names(Timm(name="resnet18.a1_in1k", classes=9))
    assert not student.shares_names(Timm(name="resnet50", classes=2))
    assert not student.shares_names(Mlp(inputs=2, classes=2))
