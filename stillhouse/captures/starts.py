"""How torch itself draws the first values of its layers: what a captured network does where it starts afresh."""

import math
import zlib
from base64 import b64encode

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.modules.rnn import RNNCellBase

from app.contract.graphs.tensors import Filled, Normal, Start, Uniform, Values

_SMALL_BYTES = 2**16
"""A buffer up to here lies in the description, for networks that start without a file."""
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def start_of(owner: nn.Module, leaf: str, tensor: Tensor) -> Start | None:
    """Return how a tensor of a module is drawn anew, by the module's type; None where that is not known."""
    drawn = _drawn(owner, leaf, tensor)
    if drawn is None and not isinstance(tensor, nn.Parameter) and tensor.nbytes <= _SMALL_BYTES:
        return values_of(tensor)
    return drawn


def values_of(tensor: Tensor) -> Values:
    """Return a tensor's values as data."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    content = flat.view(torch.uint8).numpy().tobytes() if len(flat) else b""
    return Values(data=b64encode(zlib.compress(content, 9)).decode())


def _drawn(owner: nn.Module, leaf: str, tensor: Tensor) -> Start | None:
    if isinstance(owner, nn.MultiheadAttention):
        return _of_attention(owner, leaf, tensor)
    if not _resets_as_torch(owner):
        return None
    match owner:
        case nn.Embedding() | nn.EmbeddingBag():
            return Normal(std=1.0, zero_row=owner.padding_idx)
        case nn.PReLU():
            return Filled(value=owner.init)
    if isinstance(owner, _NORMS):
        return Filled(value=float(leaf in {"weight", "running_var"}))
    zero = isinstance(owner, NonDynamicallyQuantizableLinear) and leaf == "bias"  # an attention sets it so
    return Filled() if zero else Uniform(bound=1 / math.sqrt(max(_fan_in(owner), 1)))


def _resets_as_torch(owner: nn.Module) -> bool:
    """Return whether a module is one of torch's own, or of a class that leaves the drawing to it."""
    known = (*_NORMS, nn.Embedding, nn.EmbeddingBag, nn.PReLU, nn.Linear, nn.Bilinear, _ConvNd, nn.RNNBase, RNNCellBase)
    base = next((kind for kind in type(owner).__mro__ if kind.__module__.startswith("torch.nn.modules.")), nn.Module)
    return isinstance(owner, known) and getattr(type(owner), "reset_parameters", None) is getattr(
        base, "reset_parameters", None
    )


def _fan_in(owner: nn.Module) -> int:
    """Return the inputs of each of a layer's units, by whose root torch bounds weights and biases."""
    match owner:
        case nn.RNNBase() | RNNCellBase():
            return owner.hidden_size
        case nn.Linear():
            return owner.in_features
        case nn.Bilinear():
            return owner.in1_features
    assert isinstance(owner, _ConvNd)
    return owner.weight.shape[1] * math.prod(owner.kernel_size)


def _of_attention(owner: nn.MultiheadAttention, leaf: str, tensor: Tensor) -> Start | None:
    if type(owner)._reset_parameters is not nn.MultiheadAttention._reset_parameters:  # noqa: SLF001 - torch's only name
        return None
    if leaf == "in_proj_bias":
        return Filled()
    # Glorot & Bengio 2010: even for the projections, normal for the extra key and value.
    fans = (tensor.shape[0] + tensor.shape[1]) if tensor.dim() == 2 else 2 * tensor.shape[-1]
    return Normal(std=math.sqrt(2 / fans)) if leaf in {"bias_k", "bias_v"} else Uniform(bound=math.sqrt(6 / fans))
