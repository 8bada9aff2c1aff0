"""The series of a report: bounded however long a training lasts."""

from typing import Any

from app.contract.report import Curve

MAX_POINTS = 1_000


class Curves:
    """Values by name over optimiser steps; a full series drops every other point and goes on at half the density."""

    def __init__(self) -> None:
        self._series: dict[str, Curve] = {}
        self._stride: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def add(self, step: int, values: dict[str, float], prefix: str = "") -> None:
        """Add a point to each named series."""
        for name, value in values.items():
            self._add(prefix + name, step, value)

    def series(self) -> dict[str, Curve]:
        """Return the series by name."""
        return dict(self._series)

    def state(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            name: {"curve": curve.model_dump(), "stride": self._stride[name], "seen": self._seen[name]}
            for name, curve in self._series.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        for name, entry in state.items():
            self._series[name] = Curve.model_validate(entry["curve"])
            self._stride[name], self._seen[name] = entry["stride"], entry["seen"]

    def _add(self, name: str, step: int, value: float) -> None:
        curve = self._series.setdefault(name, Curve(steps=[], values=[]))
        seen, stride = self._seen.get(name, 0), self._stride.setdefault(name, 1)
        self._seen[name] = seen + 1
        if seen % stride:
            return
        curve.steps.append(step)
        curve.values.append(value)
        if len(curve.steps) >= MAX_POINTS:
            del curve.steps[1::2], curve.values[1::2]
            self._stride[name] = 2 * stride
