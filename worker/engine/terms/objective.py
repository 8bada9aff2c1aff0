"""The objective: named losses, added up. K = terms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from app.contract.objectives import Term
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Joint

Gather = Callable[[Tensor], Tensor]
"""What this process has of a batch (B, ...) to what all of them have, in the order of the batch."""


@runtime_checkable
class Stepping(Protocol):
    """A part of a loss that remembers something of the samples of each optimiser step."""

    def stepped(self, gather: Gather) -> None: ...


@runtime_checkable
class Settling(Protocol):
    """A loss that holds a part of the student, which the student gets in place of its own."""

    def settle(self, network: nn.Module) -> None: ...


class Objective(nn.Module):
    """A module, so that terms with weights of their own are trained and kept with the student."""

    def __init__(self, terms: Sequence[Term], losses: Mapping[str, nn.Module], joints: Sequence[Joint] = ()) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.losses = nn.ModuleDict(losses)
        self._stepping = tuple(part for part in self.losses.modules() if isinstance(part, Stepping))
        self.names = (*losses, "loss")
        """Names of the values that `forward` returns."""
        self.needs_outputs = any("teacher" in term.needs and term.outputs for term in terms)
        """Whether a term looks at the teacher's outputs."""
        self.student_taps = tuple(dict.fromkeys(joint.student.name for joint in joints))
        """What the student is to be listened to at."""
        self.teacher_taps = tuple(dict.fromkeys((joint.member, joint.teacher.name) for joint in joints))
        """The same of the teachers, each by its place in an ensemble."""

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return this micro-batch's share of the loss, and detached (K + 1): each term without its weight, the loss."""
        values = [loss(batch) for loss in self.losses.values()]
        weights = [batch.position.of(term.weight) for term in self.terms]
        total = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
        return total, torch.stack([*values, total]).detach()

    def stepped(self, gather: Gather) -> None:
        """Tell those that want to know that a step has been made."""
        for part in self._stepping:
            part.stepped(gather)

    def settle(self, network: nn.Module) -> None:
        """Have losses put into the student what they hold for it, before it is looked at."""
        for loss in self.losses.values():
            if isinstance(loss, Settling):
                loss.settle(network)

    def of_outputs(self, batch: Batch) -> Tensor | None:
        """Return the loss of the terms that look at outputs alone; None where there is no such term."""
        found = [
            batch.position.of(term.weight) * loss(batch)
            for term, loss in zip(self.terms, self.losses.values(), strict=True)
            if term.outputs
        ]
        return torch.stack(found).sum() if found else None
