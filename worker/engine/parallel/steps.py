"""What the processes of a job bring together in every optimiser step, so that each goes on with the same numbers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from worker.engine.parallel.ranks import Ranks
from worker.engine.terms.objective import Objective, Stepping

_NUMBERS = 2**24
"""That travel at once, unless one tensor has more."""


def bring_together(ranks: Ranks, parameters: Sequence[Tensor], values_K: Tensor, statistics: Sequence[Tensor]) -> None:
    """Add up, in place, gradients and losses of the shares; `statistics` become the leader's."""
    if ranks.size == 1:
        return
    for parameter, learns in zip(parameters, _with_gradient(ranks, parameters), strict=True):
        if learns and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not ranks.leads:
        for buffer in statistics:
            buffer.zero_()
    for bucket in _buckets([*gradients, values_K, *statistics]):
        summed = ranks.add_up(torch.cat([tensor.reshape(-1) for tensor in bucket]))
        for tensor, part in zip(bucket, torch.split(summed, [tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def statistics(network: nn.Module, objective: Objective) -> list[Tensor]:
    """Return the buffers that each process would fill by its own share: running means and the like.

    Left out is what losses remember of samples: they gather that themselves.
    """
    modules = [*network.modules(), *(one for one in objective.modules() if not isinstance(one, Stepping))]
    kept = {id(tensor) for owner in (network, objective) for tensor in owner.state_dict(keep_vars=True).values()}
    found = [buffer for module in modules for buffer in module.buffers(recurse=False)]
    return [buffer for buffer in dict.fromkeys(found) if buffer.is_floating_point() and id(buffer) in kept]


def _with_gradient(ranks: Ranks, parameters: Sequence[Tensor]) -> list[bool]:
    """Return which parameters have a gradient anywhere: the others must have none, or weight decay would move them."""
    own = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
    return [bool(learns) for learns in ranks.most(own).tolist()]


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[Tensor] = []
        for tensor in (one for one in tensors if one.dtype == dtype):
            if bucket and sum(map(Tensor.numel, bucket)) + tensor.numel() > _NUMBERS:
                yield bucket
                bucket = []
            bucket.append(tensor)
        yield bucket
