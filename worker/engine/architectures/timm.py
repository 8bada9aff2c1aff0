"""timm's image models, with its own parameter names and without any pretrained weights."""

import logging
from types import ModuleType
from typing import Any

import torch
from torch import nn

from app.contract.architectures import Timm
from app.contract.base import did_you_mean
from worker.engine.failures import Refused
from worker.engine.networks import torchvision_operators
from worker.engine.taps.point import Point, numbered


def build(family: Timm) -> nn.Module:
    """Return the model. Raises Refused where timm is not installed, or cannot build what is asked for."""
    timm = _library()
    name, _, tag = family.name.partition(".")
    if not timm.is_model(name):
        near = did_you_mean(name, timm.list_models())
        raise Refused(f"timm {timm.__version__} has no model '{name}'{near or '.'}")
    if tag and family.name not in timm.list_pretrained(f"{name}.*"):
        near = did_you_mean(family.name, timm.list_pretrained(f"{name}.*"))
        raise Refused(f"timm {timm.__version__} has no weights '{family.name}' to take settings from{near or '.'}")
    try:
        model: nn.Module = timm.create_model(family.name, pretrained=False, **arguments_of(family))
    except (MemoryError, Refused):
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise Refused(f"timm {timm.__version__} cannot build '{family.name}' from these arguments ({why}).") from error
    return model


Network = build


def points(network: nn.Module) -> dict[str, Point]:
    """Return the stages that timm names in its `feature_info`; of transformers, whose stages are tokens, the states."""
    paths = [stage["module"] for stage in getattr(network, "feature_info", ())]
    known = dict(network.named_modules())
    if not paths or any(path not in known for path in paths):
        return {}
    if getattr(network, "output_fmt", "NCHW") == "NHWC":
        return {f"stage:{number}": Point(path, channels_last=True) for number, path in enumerate(paths)}
    if hasattr(network, "cls_token") or hasattr(network, "pos_embed"):
        return {"hidden:0": Point(paths[0], "input"), **_after_each(paths)}
    before = [_last_activation(network, path) for path in paths]
    preact = numbered("preact", [path for path in before if path], side="input") if all(before) else {}
    return numbered("stage", paths) | preact


def _last_activation(network: nn.Module, path: str) -> str | None:
    """Return the path of the activation that a stage ends in; None where it does not, or is not known to."""
    module = network.get_submodule(path)
    if type(module).__module__ == "torch.nn.modules.activation":
        return path
    name, block = next(reversed([*module.named_children()]), ("", module))
    if type(block).__module__ != "timm.models.resnet":
        return None
    return f"{path}.{name}.{'act3' if hasattr(block, 'act3') else 'act2'}"


def _after_each(paths: list[str]) -> dict[str, Point]:
    return {f"hidden:{number}": Point(path) for number, path in enumerate(paths, start=1)}


def arguments_of(family: Timm) -> dict[str, Any]:
    size = {} if family.pixels is None else {"img_size": family.pixels}
    return {**family.arguments, **size, "num_classes": family.classes, "in_chans": family.channels}


def _library() -> ModuleType:
    # On the CPU also where a network without memory is asked for: what an import makes is made once.
    with torch.device("cpu"):
        torchvision_operators.make_importable()
        try:
            import timm  # noqa: PLC0415 - an extra that most jobs do without
        except ModuleNotFoundError as error:
            raise Refused("This worker cannot build timm networks: install stillhouse[timm].") from error
    # It warns of models without a pretrained configuration, which nobody asked for.
    logging.getLogger("timm").setLevel(logging.ERROR)
    library: ModuleType = timm
    return library
