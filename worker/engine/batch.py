"""What the terms of an objective see of one micro-batch.

Shape suffixes in the engine: N = samples of the set, B = (micro-)batch, C = classes, K = terms, H = log window.
"""

from dataclasses import dataclass

from torch import Tensor

from app.contract.schedules import Schedule, value_at
from worker.engine.views import Blend


@dataclass(frozen=True, slots=True)
class Position:
    """Where in training we are, in epochs."""

    epoch: float
    epochs: float

    def of(self, number: float | Schedule) -> float:
        """Return what a number or schedule is worth here."""
        return value_at(number, self.epoch, self.epochs)


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch, and the size of the accumulated batch that it is a part of.

    A term returns its *share*: the sum over its valid samples here, divided by the number of valid samples in the whole
    accumulated batch. So shares add up to the value on the whole batch however it is cut.
    """

    student_BC: Tensor
    teacher_BC: Tensor | None
    """None where no term needs the teacher."""
    labels_B: Tensor
    """int64, -1 = none."""
    samples: int
    """Samples in the whole accumulated batch."""
    labelled: Tensor | int
    """Labelled samples in the whole accumulated batch, at least 1."""
    position: Position
    blend: Blend | None = None
    """The other labels of mixed samples."""
