"""pydantic's errors as problems: JSON pointers into what the user wrote, without the tags of unions."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from app.contract.errors import Problem


def problems_of(error: ValidationError, document: Any) -> list[Problem]:
    """Return one problem for each error found in `document`."""
    return problems_from(error.errors(include_url=False), document)


def problems_from(lines: Iterable[Any], document: Any) -> list[Problem]:
    return [Problem(pointer=_pointer(line, document), detail=_detail(line)) for line in lines]


def _pointer(line: Any, document: Any) -> str:
    path: list[str] = []
    value = document
    loc = line["loc"]
    for position, step in enumerate(loc):
        found, value_below = _descend(value, step)
        if found:
            path.append(str(step))
            value = value_below
        elif line["type"] == "missing" and position == len(loc) - 1:
            path.append(str(step))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def _descend(value: Any, step: int | str) -> tuple[bool, Any]:
    """Return whether `step` is a place in `value` (and not a union's tag), and what lies there."""
    if isinstance(value, dict) and step in value:
        return True, value[step]
    if isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
        return True, value[step]
    return False, None


def _detail(line: Any) -> str:
    message = str(line["msg"]).removeprefix("Value error, ")
    return "this field is required" if line["type"] == "missing" else message
