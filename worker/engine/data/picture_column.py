"""Pictures in a column of a Parquet file, as bytes or as the {bytes, path} of Hugging Face's data sets."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.contract.transfer import Images
from worker.engine.data.labels import LONGEST
from worker.engine.failures import Refused
from worker.engine.files.archives import Limits
from worker.engine.files.column_file import ColumnFile
from worker.engine.files.names import encodable
from worker.engine.files.parquet_file import opened

_IMAGE = ("image", "img")
_LABEL = ("label", "labels")
_SPLIT = ("split",)
_ROWS_AT_ONCE = 64


class PictureColumn:
    """The file's pictures and what it says of them. Raises Refused where it has no such column, or is damaged."""

    def __init__(self, path: Path, wanted: Images, limits: Limits | None = None) -> None:
        self._path, self._limits = path, limits or Limits()
        with opened(path) as file:
            self._columns = ColumnFile("parquet", {name: [] for name in file.schema_arrow.names}, None)
            self._metadata = dict(file.schema_arrow.metadata or {})
            if file.metadata.num_rows > self._limits.entries:
                raise Refused(
                    f"The file has {file.metadata.num_rows:,} rows; at most {self._limits.entries:,} are read."
                )
        name = self._columns.named(wanted.image, _IMAGE, "pictures")
        if name is None:
            held = self._columns.listed()
            raise Refused(f"There is no column of pictures (image or img, or the name given); the file has {held}.")
        self.image = name
        self.label = self._columns.named(wanted.label, _LABEL, "labels")
        self.split = self._columns.named(wanted.split, _SPLIT, "split")

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Yield `row 0`, `row 1`, ... and each one's bytes. Raises Refused."""
        total = 0
        for row, value in enumerate(self._values([self.image])[self.image]):
            content = value.get("bytes") if isinstance(value, dict) else value
            if not isinstance(content, bytes):
                raise Refused(f"The column {self.image!r} has no bytes of a picture at row {row}.")
            total += len(content)
            if len(content) > self._limits.entry_bytes or total > self._limits.total_bytes:
                raise Refused(f"The pictures take too many bytes: row {row} has {len(content):,}.")
            yield f"row {row}", content

    def facts(self) -> ColumnFile:
        """Return the columns of labels and parts."""
        names = [name for name in (self.label, self.split) if name]
        columns = {name: list(values) for name, values in self._values(names).items()}
        return ColumnFile("parquet", columns, None)

    def class_names(self) -> tuple[str, ...] | None:
        """Return the classes that Hugging Face's metadata names for the column of labels, where it does."""
        try:
            features = json.loads(self._metadata[b"huggingface"])["info"]["features"]
            names = features[self.label]["names"]
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        words = list(map(str, names)) if isinstance(names, list) else []
        if not all(len(word) <= LONGEST and encodable(word) for word in words):
            return None
        return tuple(words) if len(set(words)) == len(words) > 1 else None

    def _values(self, names: Sequence[str]) -> dict[str, Iterator[Any]]:
        return {name: self._column(name) for name in names}

    def _column(self, name: str) -> Iterator[Any]:
        with opened(self._path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[name], use_threads=False):
                yield from batch.columns[0].to_pylist()
