"""Parquet files that swell, nest, lie in their metadata, or hold values that Python cannot."""

import base64
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.hostile.case import Case, Write, dataset, marker
from tests.hostile.pickles import text as pickled_text

DAMAGED = "The Parquet file is damaged"
ROWS = {"a": [float(place) for place in range(20)], "label": [place % 2 for place in range(20)]}


def table(columns: Any = None, metadata: dict[str, str] | None = None, **options: Any) -> Write:
    """Write columns, or what a function makes of them only then."""

    def write(path: Path) -> None:
        made = pa.table(columns() if callable(columns) else columns or ROWS)
        parquet.write_table(
            made.replace_schema_metadata({**(made.schema.metadata or {}), **metadata}) if metadata else made,
            path,
            **options,
        )

    return write


def patched(change: Callable[[bytes], bytes], columns: Any = None, **options: Any) -> Write:
    """Write a table whose bytes are changed afterwards."""

    def write(path: Path) -> None:
        table(columns, **options)(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def column(values: Any, kind: Any = None) -> Callable[[], dict[str, Any]]:
    return lambda: {**ROWS, "b": pa.array(values * 20, kind)}


def raw(bits: bytes, kind: Any) -> Callable[[], dict[str, Any]]:
    """Return a column of values that their type does not have."""
    return lambda: {**ROWS, "b": pa.Array.from_buffers(kind, 20, [None, pa.py_buffer(bits * 20)])}


def no_utf8() -> dict[str, Any]:
    held = pa.array([b"\xff\xfe"] * 20)
    return {**ROWS, "b": pa.Array.from_buffers(pa.string(), 20, held.buffers())}


def zeros(megabytes: int, rows: int = 1) -> Callable[[], dict[str, Any]]:
    return lambda: {"text": [bytes(megabytes * 10**6).decode()] * rows, "label": [0] * rows}


def repeated(megabytes: int, rows: int) -> Callable[[], dict[str, Any]]:
    """Return one long value that is counted up to many rows by a dictionary."""
    codes = pa.array([0] * rows, pa.int32())
    return lambda: {"text": pa.DictionaryArray.from_arrays(codes, pa.array(["a" * (megabytes * 10**6)]))}


def deep(levels: int) -> Callable[[], dict[str, Any]]:
    def made() -> dict[str, Any]:
        kind: Any = pa.int32()
        value: Any = 1
        for _ in range(levels):
            kind, value = pa.list_(kind), [value]
        return {**ROWS, "b": pa.array([value] * 20, kind)}

    return made


def count(content: bytes) -> bytes:
    """Return a file whose footer claims 99 times as many rows: 20 as a varint is 0x28."""
    footer = int.from_bytes(content[-8:-4], "little")
    begin = len(content) - 8 - footer
    changed = content[begin:-8].replace(b"\x16\x28\x19\x1c", b"\x16\xfe\x19\x1c")
    return content[:begin] + changed + content[-8:]


def footer(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:-8] + size.to_bytes(4, "little") + b"PAR1"


def extension(path: Path) -> None:
    """Write a column whose type would be unpickled by old versions of Arrow."""
    code = b"\x80\x02cos\nmkdir\n" + pickled_text(str(marker(path)).encode()) + b"\x85R."
    marks = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": code}
    fields = [pa.field("a", pa.float64(), metadata=marks), pa.field("label", pa.int64())]
    parquet.write_table(pa.table(ROWS, schema=pa.schema(fields)), path)


def schema(content: bytes) -> Write:
    """Write a file with another schema of Arrow's beside its own."""

    def write(path: Path) -> None:
        whole = io.BytesIO()
        parquet.write_table(pa.table(ROWS), whole, store_schema=False)
        made = parquet.read_table(pa.BufferReader(whole.getvalue())).replace_schema_metadata(
            {"ARROW:schema": base64.b64encode(content)}
        )
        parquet.write_table(made, path, store_schema=False)

    return write


def features(held: Any) -> Write:
    """Write a set of pictures with Hugging Face's own metadata."""
    text = held if isinstance(held, str) else json.dumps(held)
    from tests.engine.pictures import picture

    return table({"image": [picture()] * 20, "label": ROWS["label"]}, {"huggingface": text})


def named(names: Any) -> dict[str, Any]:
    return {"info": {"features": {"label": {"names": names}}}}


CODECS = ("snappy", "gzip", "brotli", "zstd", "lz4")
CASES: list[Case] = [
    *(dataset(f"Parquet: 100 MB of zeros, packed by {codec}",
        table(zeros(100), compression=codec, use_dictionary=False), "100,000,000 characters", "text")
      for codec in CODECS),
    *(dataset(f"Parquet: pictures of 100 MB, packed by {codec}",
              table(lambda: {"image": [bytes(100 * 10**6)]}, compression=codec, use_dictionary=False),
              "too many bytes: row 0", "images")
      for codec in ("zstd", "brotli")),
    dataset("Parquet: 10 GB out of one value", table(repeated(100, 100)), "needs more memory", "text"),
    dataset("Parquet: a footer that claims more rows", patched(count), DAMAGED, "table"),
    dataset("Parquet: a footer of 4 GB", patched(footer(2**32 - 1)), DAMAGED, "table"),
    dataset("Parquet: a footer of nothing", patched(footer(0)), DAMAGED, "table"),
    dataset("Parquet: a footer of NUL", patched(lambda content: content[:-508] + bytes(500) + content[-8:]), DAMAGED,
        "table"),
    dataset("Parquet: pages of NUL", patched(lambda content: content[:4] + bytes(200) + content[204:]), DAMAGED,
        "table"),
    dataset("Parquet: cut short", patched(lambda content: content[:-100]), DAMAGED, "table"),
    dataset("Parquet: the magic alone", b"PAR1PAR1", DAMAGED, "table"),
    dataset("Parquet: an encrypted footer", patched(lambda content: content[:-4] + b"PARE"), DAMAGED, "table"),
    dataset("Parquet: 1,000 columns", table(lambda: {f"c{place}": [1.0, 2.0] for place in range(1_000)}), "",
        "table"),
    dataset("Parquet: 10,001 columns", table(lambda: {f"c{place}": [1.0] for place in range(10_001)}),
        "more than 10,000 columns", "table"),
    dataset("Parquet: a column twice",
        lambda path: parquet.write_table(pa.Table.from_arrays([pa.array([1])] * 2, ["a", "a"]), path), "'a' twice",
        "table"),
    dataset("Parquet: a column's name of 10 kB", table({"a" * 10_000: [1.0]}), "a name of 10,000 characters",
        "table"),
    dataset("Parquet: no columns", lambda path: parquet.write_table(pa.table({}), path), "no column of features",
        "table"),
    dataset("Parquet: no rows", table(lambda: {"a": pa.array([], pa.float64())}), "no rows", "table"),
    dataset("Parquet: 2,000 row groups", table(lambda: {"a": [1.0, 2.0] * 1_000}, row_group_size=1), "", "table"),
    dataset("Parquet: lists 20 deep", table(deep(20)), "lists", "table"),
    dataset("Parquet: lists 400 deep", table(deep(400)), f"{DAMAGED}.*too deeply nested", "table"),
    dataset("Parquet: structs", table(column([{"x": {"y": 1}}])), "lists", "table"),
    dataset("Parquet: maps", table(column([[("a", 1)]], pa.map_(pa.string(), pa.int32()))), "lists", "table"),
    dataset("Parquet: bytes", table(column([b"\xff"])), "lists or bytes", "table"),
    dataset("Parquet: text that is no UTF-8", table(no_utf8), DAMAGED, "table"),
    dataset("Parquet: decimals of 76 digits", table(column([10**75], pa.decimal256(76, 0))),
        "beyond what float32 holds", "table"),
    dataset("Parquet: a day beyond all calendars", table(raw((2**31 - 1).to_bytes(4, "little"), pa.date32())),
        DAMAGED, "table"),
    dataset("Parquet: a time beyond all calendars", table(raw((2**62).to_bytes(8, "little"), pa.timestamp("us"))),
        DAMAGED, "table"),
    dataset("Parquet: a duration without end", table(raw((2**62).to_bytes(8, "little"), pa.duration("s"))), DAMAGED,
        "table"),
    dataset("Parquet: a part of a nanosecond", table(raw((1).to_bytes(8, "little"), pa.timestamp("ns"))), DAMAGED,
        "table"),
    dataset("Parquet: a time zone that is nowhere", table(column([0], pa.timestamp("us", "Mars/Olympus"))),
        "a time zone that is nowhere .*Mars/Olympus", "table"),
    dataset("Parquet: a time zone that is a path", table(column([0], pa.timestamp("us", "../../../../etc/passwd"))),
        "a time zone that is nowhere", "table"),
    dataset("Parquet: a time of day beyond the day",
        table(raw((10**9).to_bytes(8, "little", signed=True), pa.time64("us"))), "dates", "table"),
    dataset("Parquet: a negative time of day", table(raw((-1).to_bytes(8, "little", signed=True), pa.time64("us"))),
        "dates", "table"),
    dataset("Parquet: days", table(column([dt.date(2000, 1, 1)])), "dates", "table"),
    dataset("Parquet: an extension that was once unpickled", extension, "", "table"),
    dataset("Parquet: Arrow's schema is nonsense", schema(b"\xff" * 100), "", "table"),
    dataset("Parquet: NaN for a label", table({"a": ROWS["a"], "label": [float("nan")] * 20}), "", "table"),
    dataset("Parquet: labels of 2^63 - 1", table(lambda: {"a": ROWS["a"], "label": pa.array([2**63 - 1] * 20)}),
        "a label of more than 18 digits", "table"),
    dataset("Parquet: labels of 2^64 - 1",
        table(lambda: {"a": ROWS["a"], "label": pa.array([2**64 - 1] * 20, pa.uint64())}),
        "a label of more than 18 digits", "table"),
    dataset("Parquet: tags that are words in words", table(lambda: {"tokens": [["a"]], "tags": [[["b"]]]}),
        "holds list where the tag", "tagged_words"),
    dataset("Parquet: words of nothing", table(lambda: {"tokens": pa.array([["a", None]])}),
        "holds nothing and not a string as word 2", "tagged_words"),
    dataset("Parquet: pictures that are paths", table(lambda: {"image": [{"bytes": None, "path": "/etc/passwd"}]}),
        "no bytes of a picture at row 0", "images"),
    dataset("Parquet: pictures that are words", table({"image": ["/etc/passwd"]}), "no bytes of a picture at row 0",
        "images"),
    dataset("Parquet: pictures that are no pictures", table({"image": [b"GIF89a"]}), "damaged", "images"),
    dataset("Parquet: 600,000 pictures of nothing", table(lambda: {"image": pa.nulls(600_000, pa.binary())}),
        "600,000 rows; at most 500,000", "images"),
    dataset("Parquet: pictures' features 100,000 deep", features("[" * 100_000), "", "images"),
    dataset("Parquet: pictures' features are a list", features([]), "", "images"),
    dataset("Parquet: pictures' classes are numbers", features(named([1, 2])), "", "images"),
    dataset("Parquet: pictures' classes are one too few", features(named(["a"])), "", "images"),
    dataset("Parquet: pictures' classes are 1 MB", features(named(["a", "b" * 10**6])), "", "images"),
    dataset("Parquet: pictures' classes are half a character", features(named(["a", "\ud800"])), "", "images"),
]  # fmt: skip
