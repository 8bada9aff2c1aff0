"""What both networks hold at the taps of a batch, for terms to compare. B = batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.contract.objectives import Part
from worker.engine.taps.feature import Feature
from worker.engine.terms.joint import Joint

Compare = Callable[[int, Feature, Feature], Tensor]
"""The number of a pair, the student's feature and the teacher's, to a value."""


@dataclass(frozen=True, slots=True)
class Held:
    """Features of one micro-batch, and the size of the accumulated batch that it is a part of."""

    student: Mapping[str, Feature]
    """By tap; with gradients."""
    teacher: Mapping[tuple[int, str], Feature]
    """By member of the ensemble and tap; without gradients."""
    rows_B: Tensor
    """int64 rows of the transfer set."""
    labels_B: Tensor
    """int64, -1 = none."""
    samples: int
    """Samples in the whole accumulated batch."""
    labelled: Tensor | int
    """Labelled samples in the whole accumulated batch."""

    def at(self, joint: Joint) -> tuple[Feature, Feature]:
        """Return the student's and the teacher's feature of a pair."""
        return self.student[joint.student.name], self.teacher[joint.member, joint.teacher.name]

    def mean(self, joints: Sequence[Joint], compare: Compare, part: Part) -> Tensor:
        """Return this micro-batch's share of the mean over samples; `compare` returns a value (B,) of each pair."""
        values = [joint.share * compare(place, *self.at(joint)) for place, joint in enumerate(joints)]
        return share_of_mean(torch.stack(values).sum(0), part, self.labels_B, self.samples, self.labelled)

    def related(self, joints: Sequence[Joint], compare: Compare) -> Tensor:
        """Return this micro-batch's share of a value over pairs of samples; `compare` returns one () of each pair.

        Samples are related to those of their own micro-batch, and micro-batches count by their sizes.
        """
        values = [joint.share * compare(place, *self.at(joint)) for place, joint in enumerate(joints)]
        return torch.stack(values).sum() * (len(self.rows_B) / self.samples)


def share_of_mean(value_B: Tensor, part: Part, labels_B: Tensor, samples: int, labelled: Tensor | int) -> Tensor:
    """Return a micro-batch's share of the mean over the samples of a part; 0 where it has none.

    `samples`, `labelled`: how many there are in the whole accumulated batch.
    """
    if part == "all" or (part == "labelled" and isinstance(labelled, int) and labelled == samples):
        return value_B.sum() / samples
    wanted = part == "labelled"
    count = labelled if wanted else samples - labelled
    # Masked and not indexed: picking rows would wait for the device to count them.
    kept_B = value_B.where((labels_B >= 0) == wanted, 0.0)
    return kept_B.sum() / (count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1))
