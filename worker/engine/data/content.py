"""What a reader finds in the file of a transfer set, whatever its format. N = samples, A = their units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from app.contract import inspection
from app.contract.inspection import FileFormat
from app.contract.transfer import UNLABELLED
from worker.engine.data.samples import Samples
from worker.engine.data.units import Samplewise, Units, units_of


@dataclass(frozen=True)
class Content:
    """A set, checked: `problems` are sentences, and empty where it can be used."""

    format: FileFormat
    samples: Samples
    """On the CPU."""
    inputs: inspection.Tensor
    """The samples as the file names and holds them."""
    labels_N: Tensor | None = None
    """int64, -1 = none. Of lists of words one for each word (A,), list by list."""
    labels: inspection.Tensor | None = None
    """The labels as the file names and holds them."""
    split_N: Tensor | None = None
    """int64, 0 to 2."""
    class_names: tuple[str, ...] = ()
    """Of classes 0, 1, ...; empty where they are only numbered."""
    problems: list[str] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the inspection shows of this kind of sample, by field of `DatasetInspection`."""

    @cached_property
    def units(self) -> Units:
        """What is to be predicted: each sample, or each of its words."""
        return units_of(self.samples)

    @property
    def every_label(self) -> Tensor:
        """The label of each unit (A,), -1 where there is none, also where the file has no labels at all."""
        return torch.full((len(self.units),), UNLABELLED) if self.labels_N is None else self.labels_N

    @property
    def strata(self) -> Tensor | None:
        """What (N,) parts are drawn evenly from: the label of each sample, where a sample has one."""
        return self.labels_N if isinstance(self.units, Samplewise) else None
