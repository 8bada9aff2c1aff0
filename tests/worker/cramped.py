"""The real engine where memory is short: after some steps, a micro-batch of more than `room` samples does not fit."""

import sys

from torch import Tensor

from worker.engine.__main__ import main
from worker.engine.training.plan import Plan


def run(room: int, steps: int) -> None:
    """Run the job of the command line; end as the engine does."""
    whole = Plan.micro_batches
    batches: list[int] = []

    def cut(self: Plan, batch: Tensor) -> tuple[Tensor, ...]:
        parts = whole(self, batch)
        batches.append(len(batch))
        if len(batches) > steps and max(map(len, parts)) > room:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 640 bytes.")
        return parts

    Plan.micro_batches = cut  # type: ignore[method-assign,assignment]
    sys.exit(main())


if __name__ == "__main__":
    run(room=5, steps=9)
