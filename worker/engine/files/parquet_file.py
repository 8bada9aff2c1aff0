"""Columns of a Parquet file, through Apache Arrow, counted while they are decompressed."""

from pathlib import Path
from typing import Any

from worker.engine.failures import Refused

_ROWS_AT_ONCE = 256
"""Few, because a small file can claim little and decompress to much: the count is looked at in between."""


def read(path: Path, max_bytes: int, max_rows: int) -> dict[str, list[Any]]:
    """Return name -> values as Python objects. Raises Refused."""
    # Only here: who sends other files needs no Arrow.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise Refused(f"The file names the column {max(names, key=names.count)!r} twice.")
            if file.metadata.num_rows > max_rows:
                raise Refused(f"The file has {file.metadata.num_rows:,} rows; at most {max_rows:,} are read.")
            return _columns(file, names, max_bytes)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(f"The Parquet file is damaged ({' '.join(str(error).split())[:200]}).") from error


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
