"""The objective: named losses, added up. K = terms."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from app.contract.objectives import Term
from worker.engine.batch import Batch
from worker.engine.joint import Joint


class Objective(nn.Module):
    """A module, so that terms with weights of their own are trained and kept with the student."""

    def __init__(self, terms: Sequence[Term], losses: Mapping[str, nn.Module], joints: Sequence[Joint] = ()) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.losses = nn.ModuleDict(losses)
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

    def of_outputs(self, batch: Batch) -> Tensor | None:
        """Return the loss of the terms that look at outputs alone; None where there is no such term."""
        found = [
            batch.position.of(term.weight) * loss(batch)
            for term, loss in zip(self.terms, self.losses.values(), strict=True)
            if term.outputs
        ]
        return torch.stack(found).sum() if found else None
