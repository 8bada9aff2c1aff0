"""What the tensors of a captured network hold at first."""

import torch
from torch import Tensor

from app.contract.graphs.tensors import Filled, GraphTensor, Normal, Uniform, Values


def first_value(tensor: GraphTensor) -> Tensor:
    """Return a tensor as it starts, drawn from torch's global generator; zeros where nobody knows how."""
    dtype: torch.dtype = getattr(torch, tensor.dtype)
    value = torch.empty(tensor.shape, dtype=dtype)
    match tensor.start:
        case Values() if tensor.count and not value.is_meta:
            content = bytearray(tensor.start.unpacked(tensor.bytes))
            return torch.frombuffer(content, dtype=dtype).reshape(tensor.shape).to(value.device)
        case Uniform(bound=bound):
            return value.uniform_(-bound, bound)
        case Normal():
            return _normal(value, tensor.start)
        case Filled(value=number):
            return value.fill_(number)
    return value.zero_()


def _normal(value: Tensor, start: Normal) -> Tensor:
    value.normal_(0.0, start.std)
    if start.zero_row is not None:
        value[start.zero_row] = 0
    return value
