"""Named columns in a CSV, JSON Lines or Parquet file, told apart by content; never more bytes than a limit allows."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from worker.engine.failures import Refused
from worker.engine.files import parquet_file
from worker.engine.files.file_kinds import recognise
from worker.engine.files.names import NamedTwice, check_columns, encodable, repeated, without_repeats
from worker.engine.files.text_lines import lines_of

MAX_BYTES = 2 * 2**30
"""Of all values together, decompressed."""
MAX_ROWS = 10_000_000
_MAX_CELLS = 200_000_000
_DELIMITERS = ",\t;"
_SHOWN = 20


@dataclass(frozen=True)
class ColumnFile:
    """Columns of equal length, their values as the file has them: CSV holds strings only."""

    format: Literal["csv", "jsonl", "parquet"]
    columns: dict[str, list[Any]]
    lines: list[int] | None
    """The line at which each row ends; None where the file has no lines."""

    def place(self, row: int) -> str:
        """Return where a row is, in words."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    def named(self, given: str | None, usual: Sequence[str], what: str) -> str | None:
        """Return the name of the column given, or of the first usual one. Raises Refused where the given is missing."""
        if given is not None and given not in self.columns:
            raise Refused(f"There is no column {given!r} for the {what}; the file has {self.listed()}.")
        return given or next((name for name in usual if name in self.columns), None)

    def usable(self, name: str, refused: Callable[[Any], str | None]) -> tuple[list[Any], list[str]]:
        """Return a column of samples, and a sentence where one cannot be used; `refused` tells why a value cannot."""
        values = self.columns[name]
        if not values:
            return [], ["The file has no rows: there are no samples."]
        wrong = [(row, reason) for row, value in enumerate(values) if (reason := refused(value))]
        return ([], [self.complaint(name, wrong)]) if wrong else (values, [])

    def complaint(self, name: str, wrong: Sequence[tuple[int, str]]) -> str:
        """Return a sentence about the rows of a column that are wrong, each with why; the first one is named."""
        (row, reason), more = wrong[0], len(wrong) - 1
        also = f" ({more:,} more rows cannot be used either)" if more else ""
        return f"The column {name!r} {reason} at {self.place(row)}{also}."

    def listed(self) -> str:
        """Return the columns' names in words."""
        names = list(self.columns)
        return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def read(path: Path, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> ColumnFile:
    """Return the columns. Raises Refused where the file is of another kind, damaged, ragged or too large."""
    kind = recognise(path)
    if kind.name == "parquet":
        return ColumnFile("parquet", parquet_file.read(path, max_bytes, max_rows), None)
    if kind.name != "text":
        raise Refused(f"The file is neither CSV, JSON Lines nor Parquet: it looks like {kind.words}.")
    if path.stat().st_size > max_bytes:
        raise Refused(f"The file takes {path.stat().st_size:,} bytes; at most {max_bytes:,} are read.")
    with path.open("rb") as file:
        start = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"[":
        raise Refused("The file looks like a JSON array; write JSON Lines instead: one object a line, nothing around.")
    return _json_lines(path, max_rows) if start == b"{" else _csv(path, max_rows)


def _csv(path: Path, max_rows: int) -> ColumnFile:
    numbered = lines_of(path)
    reader = csv.reader((line for _, line in numbered), delimiter=_delimiter(path), strict=True)
    try:
        names = _header(next(reader, []))
        columns: dict[str, list[Any]] = {name: [] for name in names}
        lines: list[int] = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                text = f"Line {reader.line_num} has {len(cells)} cells, and the header names {len(names)} columns."
                raise Refused(text)
            _limit(len(lines), len(names), max_rows)
            lines.append(reader.line_num)
            for column, cell in zip(columns.values(), cells, strict=True):
                column.append(cell)
    except csv.Error as error:
        raise Refused(f"The file is not valid CSV: line {reader.line_num}: {error}.") from error
    return ColumnFile("csv", columns, lines)


def _header(names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    if not names or not all(names):
        raise Refused("The first line of a CSV file must name its columns, and one of them has no name.")
    check_columns(names)
    if twice := repeated(names):
        raise Refused(f"The first line names the column {twice!r} twice.")
    return names


def _delimiter(path: Path) -> str:
    _, header = next(lines_of(path), (1, ""))
    return max(_DELIMITERS, key=header.count)


def _json_lines(path: Path, max_rows: int) -> ColumnFile:
    columns: dict[str, list[Any]] = {}
    lines: list[int] = []
    for row, (number, record) in enumerate(_records(path)):
        if more := [name for name in record if name not in columns]:
            check_columns(more, len(columns))
            columns |= {name: [] for name in more}
        _limit(row, len(columns), max_rows)
        for name, value in record.items():
            _fill_up(columns[name], row)
            columns[name].append(value)
        lines.append(number)
    for column in columns.values():
        _fill_up(column, len(lines))
    return ColumnFile("jsonl", columns, lines)


def _fill_up(column: list[Any], rows: int) -> None:
    if len(column) < rows:
        column.extend([None] * (rows - len(column)))


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines_of(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=without_repeats)
        except (ValueError, RecursionError) as error:
            raise Refused(f"Line {number} is not valid JSON ({error}).") from error
        except NamedTwice as error:
            raise Refused(f"Line {number} holds {error}.") from error
        if not isinstance(record, dict):
            raise Refused(f"Line {number} is not a JSON object: JSON Lines holds one object a line.")
        # Only an escape can be half a character; lines without one need no second look.
        if "\\u" in line and not encodable(json.dumps(record, ensure_ascii=False)):
            raise Refused(f"Line {number} holds half a character (a lone surrogate).")
        yield number, record


def _limit(rows: int, columns: int, max_rows: int) -> None:
    if rows >= max_rows:
        raise Refused(f"The file has more than {max_rows:,} rows; so many are read at most.")
    # `{}` takes three bytes of a file and a place in every column.
    if rows * columns > _MAX_CELLS:
        raise Refused(f"The file has more than {_MAX_CELLS:,} cells ({columns:,} columns); so many are read at most.")
