"""MUNGE: Bucila, Caruana, Niculescu-Mizil 2006, Model compression. B = batch, F = values, A = attributes."""

from collections.abc import Sequence

import torch

from app.contract.augmentations import Munge
from worker.engine.data.attributes import Attribute
from worker.engine.data.samples import Raw
from worker.engine.views.draws import Draws


def exchange(step: Munge, raw: Raw, other: Raw, draws: Draws, attributes: Sequence[Attribute]) -> Raw:
    """Swap attributes of (B, ...) for those of each sample's neighbour `other`."""
    assert isinstance(raw, torch.Tensor)
    assert isinstance(other, torch.Tensor)
    own_BF, near_BF = raw.flatten(1), other.flatten(1)
    widths_A = torch.tensor([held.stop - held.start for held in attributes], device=raw.device)
    nominal_A = torch.tensor([held.nominal for held in attributes], device=raw.device)
    swapped_BA = draws.uniform(len(attributes)) < step.probability
    swapped_BF, nominal_F = swapped_BA.repeat_interleave(widths_A, 1), nominal_A.repeat_interleave(widths_A)
    noise_BF = draws.normal(own_BF.shape[1], after=len(attributes))
    drawn_BF = near_BF + noise_BF * (own_BF - near_BF).abs() / step.spread
    taken_BF = torch.where(nominal_F, near_BF, drawn_BF)
    return torch.where(swapped_BF, taken_BF, own_BF).view_as(raw)
