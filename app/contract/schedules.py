"""Numbers that may change during training: pure functions of the position in training, in epochs.

Any number of an objective or optimiser may be written as a plain number or as one of these.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from app.contract.base import Contract


class _Schedule(Contract):
    warmup: float = Field(default=0.0, ge=0)
    """Epochs (fractions allowed) over which the value first moves in a straight line to where the schedule starts."""
    warmup_from: float = 0.0
    """The value at the start of the warm-up."""

    def at(self, epoch: float, epochs: float) -> float:
        """Return the value at position `epoch` (0 = start, in epochs) of a training that lasts `epochs`."""
        if epoch < self.warmup:
            return self.warmup_from + (self.first() - self.warmup_from) * epoch / self.warmup
        left = epochs - self.warmup
        share = min((epoch - self.warmup) / left, 1.0) if left > 0 else 1.0
        return self.after_warmup(share, epoch)

    def extremes(self) -> list[float]:
        """Return the values between which the schedule stays."""
        return [self.warmup_from, *self.corners()] if self.warmup else self.corners()

    def first(self) -> float:
        return self.corners()[0]

    @abstractmethod
    def corners(self) -> list[float]:
        """Return the first value and every other one at which the schedule turns or ends."""

    @abstractmethod
    def after_warmup(self, share: float, epoch: float) -> float:
        """Return the value where `share` (0 to 1) of the time after the warm-up has passed."""


class Constant(_Schedule):
    """One value throughout; useful with a warm-up."""

    kind: Literal["constant"] = "constant"
    value: float

    def corners(self) -> list[float]:
        return [self.value]

    def after_warmup(self, share: float, epoch: float) -> float:
        return self.value


class Linear(_Schedule):
    """A straight line from `start` to `end`, reached at the end of training."""

    kind: Literal["linear"] = "linear"
    start: float
    end: float

    def corners(self) -> list[float]:
        return [self.start, self.end]

    def after_warmup(self, share: float, epoch: float) -> float:
        return self.start + (self.end - self.start) * share


class Cosine(_Schedule):
    """Half a cosine from `start` to `end`, reached at the end of training (Loshchilov & Hutter 2017, one cycle)."""

    kind: Literal["cosine"] = "cosine"
    start: float
    end: float = 0.0

    def corners(self) -> list[float]:
        return [self.start, self.end]

    def after_warmup(self, share: float, epoch: float) -> float:
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * share))


class Step(_Schedule):
    """`start`, multiplied by `factor` at each milestone."""

    kind: Literal["step"] = "step"
    start: float
    factor: float = Field(default=0.1, gt=0)
    milestones: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1, max_length=100)
    """Epochs at which the value is multiplied by `factor`."""

    @model_validator(mode="after")
    def _stays_a_number(self) -> Self:
        try:
            finite = math.isfinite(self.corners()[-1])
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError(f"multiplied {len(self.milestones)} times by {self.factor:g}, it is no number any more")
        return self

    def corners(self) -> list[float]:
        return [self.start * self.factor**passed for passed in range(len(self.milestones) + 1)]

    def after_warmup(self, share: float, epoch: float) -> float:
        return self.start * self.factor ** sum(epoch >= milestone for milestone in self.milestones)


Schedule = Constant | Linear | Cosine | Step
SCHEDULES: tuple[type[Schedule], ...] = (Constant, Linear, Cosine, Step)


def _tag(value: Any) -> str | None:
    if isinstance(value, dict):
        return str(value.get("kind"))
    return getattr(value, "kind", "number")


Number = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Linear, Tag("linear")]
    | Annotated[Cosine, Tag("cosine")]
    | Annotated[Step, Tag("step")],
    Discriminator(_tag),
]


def value_at(number: "float | Schedule", epoch: float, epochs: float) -> float:
    """Return what a number or schedule is worth at position `epoch` of `epochs`."""
    return number.at(epoch, epochs) if isinstance(number, _Schedule) else float(number)


def extremes(number: "float | Schedule") -> list[float]:
    """Return the values between which a number or schedule stays."""
    return number.extremes() if isinstance(number, _Schedule) else [float(number)]


def _within(holds: Callable[[float], bool], rule: str) -> AfterValidator:
    def check(number: float | Schedule) -> float | Schedule:
        wrong = [value for value in extremes(number) if not holds(value)]
        if wrong:
            where = " (a warm-up starts at warmup_from)" if getattr(number, "warmup", 0) else ""
            raise ValueError(f"must {rule}, and this reaches {wrong[0]:g}{where}")
        return number

    return AfterValidator(check)


Weight = Annotated[Number, _within(lambda value: value >= 0, "be at least 0 throughout")]
Temperature = Annotated[Number, _within(lambda value: value > 0, "stay above 0")]
LearningRate = Annotated[Number, _within(lambda value: value >= 0, "be at least 0 throughout")]
Share = Annotated[Number, _within(lambda value: 0 <= value <= 1, "stay between 0 and 1")]
