"""A network without memory, on torch's meta device: its tensors' names, its size, and the work it does."""

from math import prod

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from app.contract.architectures import Family
from worker.engine import build
from worker.engine.fit import Shape
from worker.engine.samples import Inputs


def outline(architecture: Family) -> nn.Module:
    """Return the network in training mode, with shapes and no values."""
    with torch.device("meta"):
        return build.network(architecture)


def shapes(architecture: Family) -> dict[str, Shape]:
    """Return each tensor of the state dict, buffers included, in the order in which the network applies them."""
    return {name: tuple(tensor.shape) for name, tensor in outline(architecture).state_dict().items()}


def size(architecture: Family) -> int:
    """Return the number of trained parameters; one that is used twice counts once."""
    return sum(prod(tensor.shape) for tensor in outline(architecture).parameters())


def flops(architecture: Family, sample: Inputs) -> int:
    """Return the operations of one forward pass of a batch of 1: matrix products, a multiply-add counts 2."""
    try:
        return _count(outline(architecture).eval(), sample.to("meta"))
    except RuntimeError:  # it asks for values on its way
        return _count(build.network(architecture).eval(), sample.to("cpu"))


def _count(network: nn.Module, sample: Inputs) -> int:
    # With autograd on, or fused kernels that the counter does not know would take the products' place.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        network(sample)
    return int(counter.get_total_flops())
