"""Encoded rows of a table, which remember what their numbers stand for. N = samples, F = inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor

from worker.engine.data.attributes import Attribute
from worker.engine.data.samples import ArraySamples
from worker.engine.data.table_encoding import Rule


class TableSamples(ArraySamples):
    """Numbers (N, F); `shown` are the first rows as the file has them."""

    def __init__(self, values: Tensor, rules: Sequence[Rule], shown: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(values)
        self._rules, self._shown = rules, shown

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What the numbers stand for, column by column."""
        return tuple(Attribute(rule.start, rule.stop, rule.nominal) for rule in self._rules)

    @property
    def encoding(self) -> list[dict[str, Any]]:
        """How each column became numbers, as JSON: with it new rows can be encoded alike."""
        return [asdict(rule) for rule in self._rules]

    def to(self, device: torch.device) -> Self:
        return type(self)(self.values.to(device), self._rules, self._shown)

    def preview(self, row: int) -> Any:
        return dict(self._shown[row]) if row < len(self._shown) else super().preview(row)
