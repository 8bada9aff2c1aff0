"""A job's metrics as series, from its step and evaluation events."""

from collections.abc import Iterable
from typing import Any

from app.contract.events import Run, name_of
from app.contract.resources import Series

Measurement = tuple[str, dict[str, Any]]
"""Event type and data."""


def series(measurements: Iterable[Measurement], names: frozenset[str], from_step: int, max_points: int) -> list[Series]:
    """Return each metric over its steps, at most `max_points` each; a later attempt overrules an earlier one."""
    values: dict[str, dict[int, float]] = {}
    for kind, data in measurements:
        name = name_of(Run(data["run"]), data.get("stage"))
        prefix = f"{name}/{data['split']}" if kind == "evaluation" else name
        for metric, value in data["metrics"].items():
            values.setdefault(f"{prefix}/{metric}", {})[data["step"]] = value
    chosen = {name: points for name, points in values.items() if not names or name in names}
    return [_series(name, points, from_step, max_points) for name, points in sorted(chosen.items())]


def _series(name: str, points: dict[int, float], from_step: int, max_points: int) -> Series:
    steps = thinned(sorted(step for step in points if step >= from_step), max_points)
    return Series(name=name, steps=steps, values=[points[step] for step in steps])


def thinned(steps: list[int], most: int) -> list[int]:
    """Return at most `most` of the steps, evenly spread, the first and the last among them."""
    if len(steps) <= most:
        return steps
    if most == 1:
        return steps[-1:]
    stride = (len(steps) - 1) / (most - 1)
    return [steps[round(i * stride)] for i in range(most)]
