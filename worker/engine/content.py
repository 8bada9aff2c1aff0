"""What a reader finds in the file of a transfer set, whatever its format. N = samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.contract import inspection
from app.contract.inspection import FileFormat
from worker.engine.samples import Samples


@dataclass(frozen=True)
class Content:
    """A set, checked: `problems` are sentences, and empty where it can be used."""

    format: FileFormat
    samples: Samples
    """On the CPU."""
    inputs: inspection.Tensor
    """The samples as the file names and holds them."""
    labels_N: Tensor | None = None
    """int64, -1 = none."""
    labels: inspection.Tensor | None = None
    """The labels as the file names and holds them."""
    split_N: Tensor | None = None
    """int64, 0 to 2."""
    class_names: tuple[str, ...] = ()
    """Of classes 0, 1, ...; empty where they are only numbered."""
    problems: list[str] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the inspection shows of this kind of sample, by field of `DatasetInspection`."""
