"""The numbers of a reproduction, as JSON in `benchmarks/results/`, with what they were measured on."""

import json
from pathlib import Path
from typing import Any

from app.contract.report import Report

FOLDER = Path(__file__).parents[1] / "results"
Row = tuple[str, ...]


def write(name: str, report: Report, content: dict[str, Any]) -> dict[str, Any]:
    """Write the results, with versions and hardware of one of the jobs, and return them as they can be read back."""
    made_on = {"hardware": report.hardware.model_dump(), "versions": report.versions}
    FOLDER.mkdir(exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in (content | made_on).items()]
    _path(name).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return read(name)


def read(name: str) -> dict[str, Any]:
    """Return results that were written before."""
    return json.loads(_path(name).read_text())


def table(*rows: Row) -> str:
    """Return rows, the heads first, as a table in Markdown."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _path(name: str) -> Path:
    return FOLDER / f"{name}.json"
