"""The taps of a network as its inspection lists them: seen on a made-up sample, without memory."""

import torch

from app.contract.architectures import Family
from app.contract.taps import Tap
from worker.engine.networks import blueprint
from worker.engine.taps.survey import survey

_BATCH = 2


def listing(architecture: Family) -> tuple[tuple[int, ...], list[Tap]] | None:
    """Return the made-up sample's shape (of texts: tokens) and the taps; None where a pass needs values."""
    network = blueprint.outline(architecture).eval()
    shape = sample_of(architecture, network)
    if shape is None:
        return None
    try:
        with torch.no_grad():
            return shape, survey(architecture, network, blueprint.made_up(architecture, _BATCH, shape))
    except Exception:  # noqa: BLE001 - whatever a library's network does without values: nothing is listed
        return None


def sample_of(architecture: Family, network: torch.nn.Module) -> tuple[int, ...] | None:
    """Return the shape of a sample that the network takes; timm's models say the size that they were made for."""
    shape, told = architecture.typical_sample(), getattr(network, "default_cfg", None)
    if shape is None or getattr(architecture, "pixels", None) or not isinstance(told, dict):
        return shape
    return (shape[0], *told.get("input_size", shape)[1:])
