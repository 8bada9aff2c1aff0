"""What the terms of an objective see of one micro-batch.

Shape suffixes in the engine: N = samples of the set, B = (micro-)batch, C = classes, K = terms, H = log window. For the
terms a sample is whatever is predicted (`worker.engine.data.units`): of lists of words each word, all lists' in a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from app.contract.objectives import Part
from app.contract.schedules import Schedule, value_at
from worker.engine.teachers.top_k import TopK, coarse
from worker.engine.terms.held import Held, share_of_mean
from worker.engine.views.augmented import Blend


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

    A term returns its *share*: the sum over its samples here, divided by the number of its samples in the whole
    accumulated batch (see `mean`). So shares add up to the value on the whole batch however it is cut. Only relational
    terms, which are no mean over samples, cannot keep that (see `share`).
    """

    student_BC: Tensor
    teacher_BC: Tensor | None
    """None where no term needs the teacher, or only its top classes are kept."""
    labels_B: Tensor
    """int64, -1 = none."""
    samples: int
    """Samples in the whole accumulated batch."""
    labelled: Tensor | int
    """Labelled samples in the whole accumulated batch."""
    position: Position
    blend: Blend | None = None
    """The other labels of mixed samples."""
    top: TopK | None = None
    """What is kept of the teacher's logits, where that is not all."""
    features: Held | None = None
    """What both networks hold at the taps of the terms; None where only outputs are looked at."""
    asked: Callable[[nn.Module], Tensor] | None = None
    """Puts the samples, as the student sees them, to another network; None where outputs alone are known."""

    def ask(self, network: nn.Module) -> Tensor:
        """Return what a network like the student says (B, C) of the batch's samples."""
        assert self.asked is not None
        return self.asked(network)

    @property
    def held(self) -> Held:
        """The features, which must be there."""
        assert self.features is not None
        return self.features

    def softened(self, temperature: float) -> tuple[Tensor, Tensor]:
        """Return the student's and the teacher's logits over T (B, C); K + 1 classes where no more is kept."""
        if self.top is not None:
            return coarse(self.student_BC, self.top.classes_BK, temperature), self.top.logits(temperature)
        assert self.teacher_BC is not None
        return self.student_BC / temperature, self.teacher_BC / temperature

    def mean(self, value_B: Tensor, part: Part) -> Tensor:
        """Return this micro-batch's share of the mean over the samples of a part; 0 where it has none."""
        return share_of_mean(value_B, part, self.labels_B, self.samples, self.labelled)

    def share(self, value: Tensor) -> Tensor:
        """Return the share of a value about this micro-batch's samples together: it counts by how many they are."""
        return value * (len(self.labels_B) / self.samples)
