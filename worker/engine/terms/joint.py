"""A place where a student is to become like its teacher, once both networks are known."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from app.contract.taps import Tap
from worker.engine.taps.feature import Feature
from worker.engine.terms.classifiers import Classifiers


@dataclass(frozen=True)
class Joint:
    """A pair of taps with the shapes of what lies there."""

    teacher: Tap
    student: Tap
    share: float
    """Its part of the term; those of all pairs add up to 1."""
    member: int = 0
    """Which of an ensemble's teachers."""

    def of_vectors(self) -> "Joint":
        """Return the same place, where one vector of each feature is looked at, such as its mean over positions."""
        return replace(self, teacher=self.teacher.pooled(), student=self.student.pooled())


@dataclass(frozen=True)
class Setting:
    """What a term's loss may know of the job that it is made for."""

    joints: Mapping[str, tuple[Joint, ...]]
    """By the field of the term that names the pairs."""
    labels_N: Tensor
    """int64 labels of the whole set, -1 = none, on the device."""
    rows_N: Tensor
    """int64, the rows to train on, on the CPU."""
    classes: int
    taught: Callable[[Sequence[Joint]], Iterator[list[Feature]]]
    """What the teachers of some pairs hold for samples spread over the training part: block by block, pair by pair."""
    peer: Callable[[], nn.Module]
    """Builds a network like the student, with fresh weights of its own."""
    classifiers: Classifiers
