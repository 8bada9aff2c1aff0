"""A network without memory, on torch's meta device: its tensors' names, its size, and the work it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from math import prod

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils.flop_counter import FlopCounterMode

from app.contract.architectures import Family
from worker.engine import build
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.failures import Refused
from worker.engine.files.tensor_file import MAX_TENSORS
from worker.engine.networks.fit import Shape

_TRIED = (2, 256)
"""Batch sizes."""


def outline(architecture: Family, max_parameters: int | None = None) -> nn.Module:
    """Return the network in training mode, with shapes and no values. Raises Refused where it is too large."""
    with torch.device("meta"), _at_most(MAX_TENSORS):
        network = build.network(architecture)
    size = _size(network)
    if max_parameters is not None and size > max_parameters:
        raise Refused(f"The network has {size:,} parameters; this service takes up to {max_parameters:,}.")
    return network


@contextmanager
def _at_most(tensors: int) -> Iterator[None]:
    """Break off a network that grows beyond what a file could hold: without memory, nothing else would end it soon."""
    found = 0

    def count(*_: object) -> None:
        nonlocal found
        found += 1
        if found > tensors:
            raise Refused(f"The network has more than {tensors:,} tensors, which is more than any file may hold.")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def shapes(architecture: Family) -> dict[str, Shape]:
    """Return each tensor of the state dict, buffers included, in the order in which the network applies them."""
    return {name: tuple(tensor.shape) for name, tensor in outline(architecture).state_dict().items()}


def size(architecture: Family) -> int:
    """Return the number of trained parameters; one that is used twice counts once."""
    return _size(outline(architecture))


def _size(network: nn.Module) -> int:
    return sum(prod(tensor.shape) for tensor in network.parameters())


def misfit(architecture: Family, inputs: Inputs, *, training: bool) -> str | None:
    """Return why the network cannot take a batch of inputs like these and answer with logits, or None."""
    network = outline(architecture).train(training)
    try:
        with torch.no_grad():
            answer = network(inputs.to("meta"))
    except NotImplementedError:  # an operator that needs values, so only the real network can tell
        return None
    except Exception as error:  # noqa: BLE001 - whatever a library's network does when it is fed wrongly
        return _reason(error)
    found = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    wanted = (len(inputs), architecture.classes)
    return None if found == wanted else f"it answers with {found} and not with logits of shape {wanted}"


def own_misfit(architecture: Family) -> str | None:
    """Return why a network does not answer with logits to samples that it says itself that it takes, or None.

    In small batches and large ones: what grows faster than its batch is found, too.
    """
    shape = architecture.own_sample()
    if shape is None:
        return None
    network = outline(architecture)
    for samples, training in product(_TRIED, (True, False)):
        try:
            with torch.no_grad():
                answer = network.train(training)(made_up(architecture, samples, shape))
        except Exception as error:  # noqa: BLE001 - whatever operators do when they are fed wrongly
            return _reason(error)
        if answer.shape != (samples, architecture.classes) or not answer.is_floating_point():
            found = f"{tuple(answer.shape)} of {answer.dtype}".replace("torch.", "")
            return f"it answers with {found} and not with logits of shape {(samples, architecture.classes)}"
    return None


def made_up(architecture: Family, samples: int, shape: tuple[int, ...]) -> Inputs:
    """Return a batch of samples of a shape, without memory; of texts without padding."""
    if architecture.embeds() is None:
        return torch.empty(samples, *shape, device="meta")
    ids_BL = torch.empty(samples, *shape, dtype=torch.int64, device="meta")
    # Of lists of words, each is one token; where tokens are predicted, here the one after the last is, too.
    by_token = architecture.tags_words() or architecture.predicts_tokens()
    heads_A = torch.arange(ids_BL.numel(), device="meta") if by_token else None
    return Tokens(ids_BL, ids_BL.bool(), torch.full((samples,), shape[0], device="cpu"), heads_A)


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split())[:500] or "it gives no reason"
    text = " ".join([words, *getattr(error, "__notes__", ())])
    return text if isinstance(error, Refused) else f"{type(error).__name__}: {text}"


def flops(architecture: Family, sample: Inputs) -> int | None:
    """Return the operations of one forward pass of a batch of 1: matrix products, a multiply-add counts 2.

    None for a black box.
    """
    if not architecture.trainable:
        return None
    try:
        return _count(outline(architecture).eval(), sample.to("meta"))
    except RuntimeError:  # it asks for values on its way
        return _count(build.network(architecture).eval(), sample.to("cpu"))


def _count(network: nn.Module, sample: Inputs) -> int:
    # With autograd on, or fused kernels that the counter does not know would take the products' place.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        network(sample)
    return int(counter.get_total_flops())
