"""Which samples each optimiser step sees: a function of (seed, epoch) and nothing else. N = rows, B = batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from worker.engine.terms.batch import Position
from worker.engine.training.seeds import seed_from


@dataclass(frozen=True)
class Plan:
    """The order of one training."""

    rows_N: Tensor
    """int64, on the CPU."""
    draws: int
    """Samples drawn in an epoch; as many as there are rows, or more or less from an endless stream of them."""
    batch_size: int
    accumulation: int
    epochs: int
    seed: int
    shuffle: bool
    device: torch.device
    first_epoch: int = 0
    """Epochs of the trainings before: order and views go on from there, schedules start anew."""

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.draws / self.batch_size)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def smallest_part(self) -> int:
        """Samples of the smallest micro-batch, at least 1."""
        batches = (min(self.batch_size, self.draws), self.draws % self.batch_size)
        parts = [(batch, math.ceil(batch / self.accumulation)) for batch in batches if batch]
        return min((batch % part or part for batch, part in parts), default=1)

    def position(self, step: int) -> Position:
        """Return where in training a step stands."""
        return Position(step / self.steps_per_epoch, self.epochs)

    def rest_of_epoch(self, epoch: int, step: int) -> Iterator[Tensor]:
        """Yield the batches (B,) of an epoch from a step of the whole training on."""
        order_N = self._order(self.first_epoch + epoch)
        if self.device.type == "cuda":
            # One transfer an epoch; the steps only slice it.
            order_N = order_N.pin_memory().to(self.device, non_blocking=True)
        for start in range((step - epoch * self.steps_per_epoch) * self.batch_size, self.draws, self.batch_size):
            yield order_N[start : start + self.batch_size]

    def micro_batches(self, index_B: Tensor) -> tuple[Tensor, ...]:
        """Cut a batch into at most `accumulation` parts."""
        return torch.split(index_B, math.ceil(len(index_B) / self.accumulation))

    def _order(self, epoch: int) -> Tensor:
        passes = math.ceil(self.draws / len(self.rows_N))
        if not self.shuffle:
            return self.rows_N.repeat(passes)[: self.draws]
        generator = torch.Generator().manual_seed(seed_from(f"order {self.seed} {epoch}"))
        orders = [self.rows_N[torch.randperm(len(self.rows_N), generator=generator)] for _ in range(passes)]
        return torch.cat(orders)[: self.draws]


def with_budget(plan: Plan, rows_N: Tensor) -> Plan:
    """Return a plan of the same number of steps over other rows, in full batches drawn from passes over them."""
    batch_size = min(plan.batch_size, plan.draws)
    return replace(plan, rows_N=rows_N, draws=plan.steps_per_epoch * batch_size, batch_size=batch_size)
