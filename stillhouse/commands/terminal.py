"""What the commands share: their common options, and how results and errors are printed."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from stillhouse.client import DEFAULT_URL, Stillhouse

Url = Annotated[
    str, typer.Option("--url", envvar="STILLHOUSE_URL", help="Where the service answers.", rich_help_panel="Service")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id: job_…", show_default=False)]
URL = DEFAULT_URL


def connect(url: str) -> Stillhouse:
    """Return a client that soon says so when nobody is there: a person waits."""
    return Stillhouse(url, retries=2)


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
    typer.echo(json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return left-aligned columns, as plain text that `awk` can read."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def refuse(error: Exception) -> NoReturn:
    """Print the error as a sentence, and what to do about it, and end with exit status 1."""
    typer.echo("\n".join([f"stillhouse: {error}", *getattr(error, "__notes__", [])]), err=True)
    raise typer.Exit(1)
