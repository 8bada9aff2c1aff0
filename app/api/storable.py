"""Text that a database cannot hold: NUL, and halves of characters (lone surrogates), which JSON and URLs can name."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Param

from app.contract.errors import InvalidRequest, Problem

_WRONG = re.compile("[\0\ud800-\udfff]")
DETAIL = "text may have neither NUL nor half a character (a lone surrogate)"


async def storable(request: Request) -> None:
    """Refuse it in the path, in the query and in a JSON body; what is streamed is not looked at."""
    problems = [
        *_in_parameters(request),
        *_in_body(getattr(request, "_json", None)),
    ]  # parsed already, or there is none
    if problems:
        said = (f"{entry.pointer}: {entry.detail}" if entry.pointer else entry.detail for entry in problems[:3])
        raise InvalidRequest("; ".join(said), problems)


def _in_parameters(request: Request) -> Iterator[Problem]:
    given = [*request.path_params.items(), *request.query_params.multi_items()]
    wrong = [name for name, value in given if _WRONG.search(str(value))]
    if wrong:  # unknown ones do not matter
        for known in get_flat_params(request.scope["route"].dependant):
            if known.alias in wrong and isinstance(known.field_info, Param):
                yield Problem(detail=f"{known.field_info.in_.value} parameter '{known.alias}': {DETAIL}")


def _in_body(document: Any) -> Iterator[Problem]:
    left = [("", document)]  # no recursion: it may be deep
    while left:
        pointer, value = left.pop()
        if isinstance(value, str) and _WRONG.search(value):
            yield Problem(pointer=pointer, detail=DETAIL)
        elif isinstance(value, dict):
            if any(map(_WRONG.search, value)):
                yield Problem(pointer=pointer, detail=f"names of fields: {DETAIL}")
            left += [(f"{pointer}/{_escaped(name)}", below) for name, below in value.items()]
        elif isinstance(value, list):
            left += [(f"{pointer}/{place}", below) for place, below in enumerate(value)]


def _escaped(name: str) -> str:
    return _WRONG.sub("�", name).replace("~", "~0").replace("/", "~1")
