"""Names in files of strangers: of columns, of tensors, of what lies in an archive."""

from collections.abc import Iterable, Sequence
from typing import Any

from worker.engine.failures import Refused

MAX_COLUMNS = 10_000
_LONGEST = 200
"""Characters of a column's name, as a spec may give it."""


class NamedTwice(Exception):
    """JSON that has a name twice in one object, of which readers keep one or the other."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:100]!r} twice")


def repeated(names: Iterable[str]) -> str | None:
    """Return the first name that was there before, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object of its pairs. Raises NamedTwice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        raise NamedTwice(repeated(name for name, _ in pairs) or "")
    return table


def check_columns(names: Sequence[str], before: int = 0) -> None:
    """Raise Refused where a file has too many columns, some `before` these among them, or a name that is too long."""
    if before + len(names) > MAX_COLUMNS:
        raise Refused(f"The file has more than {MAX_COLUMNS:,} columns; so many are read at most.")
    longest = max(names, key=len, default="")
    if len(longest) > _LONGEST:
        text = f"The column {longest[:100]!r}… has a name of {len(longest):,} characters"
        raise Refused(f"{text}; at most {_LONGEST} are read.")


def encodable(text: str) -> bool:
    """Return whether a text can be written down: JSON can hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
