"""Views: augmented looks at samples, each a function of (job seed, sample, view number). B = batch, N = samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from app.contract.augmentations import AugmentationStep
from app.contract.views import PLAIN, Fixed
from app.contract.views import Views as Wanted
from worker.engine.data.attributes import Attribute, attributes_of
from worker.engine.data.samples import Raw, Samples
from worker.engine.views.draws import Draws
from worker.engine.views.neighbours import Neighbours

_PARTNER = 1_000
"""The step number of the draw that chooses whom a sample is mixed with; augmentation steps count from 0."""


@dataclass(frozen=True)
class Look:
    """Some rows under one view."""

    rows_B: Tensor
    number: int = PLAIN
    raw: Raw | None = None
    """The augmented samples; None where the view is plain, so that what is kept of the set can be used as it is."""


@dataclass(frozen=True)
class Blend:
    """The second halves of mixed samples' labels."""

    labels_B: Tensor
    """int64, -1 = none."""
    share_B: Tensor
    """The first label's part, 0 to 1."""


class Views:
    """A job's views of its transfer set."""

    def __init__(
        self, samples: Samples, steps: Sequence[AugmentationStep], wanted: Wanted, seed: int, training_N: Tensor
    ) -> None:
        self._samples, self._seed = samples, seed
        self._steps = tuple(steps)
        self._training_N = training_N
        self._learnt = {
            place: _module(step).learn(step, samples.take(training_N))
            for place, step in enumerate(self._steps)
            if step.learns
        }
        self._mixing = next((place for place, step in enumerate(self._steps) if step.mixes), None)
        self.kept = 0 if not steps else wanted.count if isinstance(wanted, Fixed) else None
        """Augmented views of each sample that come again; None: they never do."""

    def number(self, epoch: int) -> int:
        """Return the view that an epoch sees."""
        if not self._steps:
            return PLAIN
        return 1 + (epoch if self.kept is None else epoch % self.kept)

    def look(self, rows_B: Tensor, number: int) -> Look:
        """Return a view of some rows."""
        if number == PLAIN:
            return Look(rows_B)
        return Look(rows_B, number, self._changed(rows_B, number, len(self._steps)))

    def blend(self, rows_B: Tensor, number: int, labels_N: Tensor) -> Blend | None:
        """Return the labels that a view mixes in, or None where it mixes nothing."""
        if number == PLAIN or self._mixing is None:
            return None
        step = self._steps[self._mixing]
        share_B = _module(step).share(step, self._samples.shape, self._draws(rows_B, number, self._mixing))
        return Blend(labels_N.index_select(0, self._partners(rows_B, number)), share_B)

    def _changed(self, rows_B: Tensor, number: int, steps: int) -> Raw:
        raw = self._samples.take(rows_B)
        for place, step in enumerate(self._steps[:steps]):
            draws = self._draws(rows_B, number, place)
            if step.mixes:
                # The partner under its own draws of the steps so far: its own view of this number.
                other = self._changed(self._partners(rows_B, number), number, place)
                raw = _module(step).blend(step, raw, other, draws)
            elif step.borrows:
                near = self._changed(self._neighbours.of(rows_B), number, place)
                raw = _module(step).exchange(step, raw, near, draws, self._attributes)
            else:
                learnt = (self._learnt[place],) if step.learns else ()
                raw = _module(step).change(step, raw, draws, *learnt)
        return raw

    @cached_property
    def _attributes(self) -> tuple[Attribute, ...]:
        return attributes_of(self._samples)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours(self._samples, self._attributes, self._training_N)

    def _partners(self, rows_B: Tensor, number: int) -> Tensor:
        draw_B = self._draws(rows_B, number, _PARTNER).uniform(1)[:, 0]
        return self._training_N[(draw_B * len(self._training_N)).long()]

    def _draws(self, rows_B: Tensor, number: int, step: int) -> Draws:
        return Draws(self._seed, number, step, rows_B)


def _module(step: AugmentationStep) -> Any:
    return import_module(f"worker.engine.augmentations.{step.kind}")


def labelled(labels_B: Tensor, blend: Blend | None) -> Tensor:
    """Return labels (B,), -1 also where only one half of a mixed sample has one."""
    if blend is None:
        return labels_B
    return torch.where(blend.labels_B >= 0, labels_B, -1)
