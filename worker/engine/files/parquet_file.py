"""Columns of a Parquet file, through Apache Arrow, counted while they are decompressed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.engine.failures import Refused
from worker.engine.files.names import check_columns, repeated

_ROWS_AT_ONCE = 256
"""Few, because a small file can claim little and decompress to much: the count is looked at in between."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file, its columns' names checked; what goes wrong with its values inside is told too. Raises Refused."""
    # Only here: who sends other files needs no Arrow.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_columns(names)
            if twice := repeated(names):
                raise Refused(f"The file names the column {twice!r} twice.")
            yield file
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the last: dates beyond Python's
        raise Refused(f"The Parquet file is damaged ({' '.join(str(error).split())[:200]}).") from error
    except LookupError as error:
        raise Refused(f"The Parquet file has a time zone that is nowhere ({str(error)[:200]}).") from error


def read(path: Path, max_bytes: int, max_rows: int) -> dict[str, list[Any]]:
    """Return name -> values as Python objects. Raises Refused."""
    with opened(path) as file:
        if file.metadata.num_rows > max_rows:
            raise Refused(f"The file has {file.metadata.num_rows:,} rows; at most {max_rows:,} are read.")
        return _columns(file, file.schema_arrow.names, max_bytes)


def _columns(file: Any, names: list[str], max_bytes: int) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    total = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, use_threads=False):
        total += batch.nbytes
        if total > max_bytes:
            raise Refused(
                f"The columns take more than {max_bytes:,} bytes when decompressed; so many are read at most."
            )
        for name, values in zip(names, batch.columns, strict=True):
            columns[name].extend(values.to_pylist())
    return columns
