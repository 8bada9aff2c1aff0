"""The lines of a UTF-8 file, and a clear word where it is not one."""

from collections.abc import Iterator
from pathlib import Path

from worker.engine.failures import Refused

MAX_LINE_BYTES = 16 * 2**20


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text of each line, its line feed included. Raises Refused."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise Refused(f"Line {number} is longer than {MAX_LINE_BYTES:,} bytes.")
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                text = f"Line {number} is not UTF-8 text: byte {error.start + 1} of it is {line[error.start]:#04x}."
                raise Refused(text) from error
