"""The objective: named losses, added up. K = terms."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from app.contract.objectives import Term
from worker.engine.batch import Batch


class Objective(nn.Module):
    """A module, so that terms with weights of their own are trained and kept with the student."""

    def __init__(self, terms: Sequence[Term], losses: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.losses = nn.ModuleDict(losses)
        self.names = (*losses, "loss")
        """Names of the values that `forward` returns."""
        self.needs_teacher = any("teacher" in term.needs for term in terms)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return this micro-batch's share of the loss, and detached (K + 1): each term without its weight, the loss."""
        values = [loss(batch) for loss in self.losses.values()]
        weights = [batch.position.of(term.weight) for term in self.terms]
        total = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
        return total, torch.stack([*values, total]).detach()
