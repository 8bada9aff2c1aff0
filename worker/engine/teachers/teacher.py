"""The teachers: objects of their own, never trained. B = batch, C = classes, M = members, T = a teacher's classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.states import FailureCode
from worker.engine.data.samples import Inputs
from worker.engine.failures import EngineFailure, Refused
from worker.engine.views.augmented import Look
from worker.engine.views.sight import Sight

_NOTHING: Mapping[int, Tensor] = MappingProxyType({})


class Teacher:
    """Frozen, in evaluation mode, and out of autograd's sight."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)

    def logits(self, inputs: Inputs) -> Tensor:
        """Return the logits (B, C) of a batch. Raises EngineFailure where a black box gives none."""
        try:
            with torch.inference_mode():
                logits_BC: Tensor = self.network(inputs)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher does not answer. {refusal}") from refusal
        return logits_BC


@dataclass(frozen=True)
class Seat:
    """One member of an ensemble: who teaches, what it sees, and its share of the whole (they add up to 1)."""

    teacher: Teacher
    sight: Sight
    share: float
    order_C: Tensor | None = None
    """Where each of the student's classes stands among the teacher's own; None where they are the same."""

    def logits(self, look: Look, said_BT: Tensor | None) -> Tensor:
        """Return the logits (B, C) of one look; classes that the student does not learn are left out.

        `said_BT`: what the teacher has said of it already.
        """
        said_BT = self.teacher.logits(self.sight.of(look)) if said_BT is None else said_BT
        return said_BT if self.order_C is None else said_BT.index_select(1, self.order_C)


class Ensemble:
    """Teachers that speak as one; of a single one, what it says is left as it is."""

    def __init__(self, seats: Sequence[Seat], combine: Literal["probabilities", "logits"]) -> None:
        self._seats, self._combine = tuple(seats), combine

    def logits(self, look: Look, said: Mapping[int, Tensor] = _NOTHING) -> Tensor:
        """Return the logits (B, C) of one look. `said`: what members have said of it already, by their places."""
        with torch.inference_mode():
            said_MBC = [seat.logits(look, said.get(place)) for place, seat in enumerate(self._seats)]
            if len(said_MBC) == 1:
                return said_MBC[0]
            shares = [seat.share for seat in self._seats]
            if self._combine == "logits":
                return torch.stack([share * said_BC for share, said_BC in zip(shares, said_MBC, strict=True)]).sum(0)
            # The logarithm of the mean distribution; in logarithms throughout, so that nothing underflows.
            logs_MBC = [
                log_softmax(said_BC.float(), dim=1) + math.log(share)
                for share, said_BC in zip(shares, said_MBC, strict=True)
            ]
            return torch.stack(logs_MBC).logsumexp(0)
