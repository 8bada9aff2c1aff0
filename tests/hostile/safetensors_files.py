"""safetensors files whose header lies about itself, the tensors, or the bytes that follow."""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from tests.hostile.case import Case, Write, model

SHAPES = {"layers.0.weight": (5, 6), "layers.0.bias": (5,), "layers.1.weight": (3, 5), "layers.1.bias": (3,)}
TWICE = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
INVALID = "not valid safetensors"
NOT_JSON = "header is not valid JSON"
NAME = "names have 1 to 512 characters"


def file(header: dict[str, Any] | list[Any] | str, data: bytes = bytes(4), length: int | None = None) -> Write:
    """Write a file with any header at all, which may claim another `length`."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode("utf-8", "surrogatepass")

    def write(path: Path) -> None:
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)

    return write


def one(name: str = "a", begin: Any = 0, end: Any = 4, **changes: Any) -> dict[str, Any]:
    """Return the header of one number."""
    return {name: {"dtype": "F32", "shape": [1], "data_offsets": [begin, end], **changes}}


def flood(tensors: int) -> Write:
    return file({f"{place}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for place in range(tensors)}, b"")


def padded(size: int) -> Write:
    return file(json.dumps(one()) + " " * size)


def weights(kind: str = "F32", value: bytes = bytes(4)) -> Write:
    """Write the weights of an MLP, one value everywhere."""
    header, at = {}, 0
    for name, shape in SHAPES.items():
        size = len(value) * prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return file(header, value * (at // len(value)))


CASES: list[Case] = [
    model("safetensors: a header of 10 MB claimed", file(one(), length=10**7),
        "claims 10,000,000 bytes; at most 4,194,304"),
    model("safetensors: a header of 2^63 bytes claimed", file(one(), length=2**63),
        "looks like unknown or damaged|claims"),
    model("safetensors: a header of 5 MB", padded(5 * 2**20), "claims 5,2.*; at most 4,194,304"),
    model("safetensors: 50,001 tensors", flood(50_001), "holds 50,001 tensors; at most 50,000"),
    model("safetensors: 49,999 tensors without values", flood(49_999),
        "not valid safetensors|does not know: .* and 49979 more"),
    model("safetensors: a name twice", file(TWICE), "'a' twice"),
    model("safetensors: overlap", file({**one(), **one("b", 2, 6)}, bytes(6)), "overlap"),
    model("safetensors: two on the same bytes", file({**one(), **one("b")}), "overlap"),
    model("safetensors: a hole", file({**one(), **one("b", 8, 12)}, bytes(12)), INVALID),
    model("safetensors: more bytes than told", file(one(), bytes(400)), INVALID),
    model("safetensors: cut short", file(one(), b""), "cut short"),
    model("safetensors: cut short in the header", file(one(), b"", 1000), "cut short"),
    model("safetensors: a shape that overflows", file(one(shape=[2**62, 4])), INVALID),
    model("safetensors: a product that comes to 1", file(one(shape=[2**32, 2**32, 1])), INVALID),
    model("safetensors: a negative shape", file(one(shape=[-1])), INVALID),
    model("safetensors: two negative axes", file(one(shape=[-1, -1])), INVALID),
    model("safetensors: fractions in a shape", file(one(shape=[0.5, 2])), INVALID),
    model("safetensors: a shape of words", file(one(shape=["1"])), INVALID),
    model("safetensors: a shape of 100,000 axes", file(one(shape=[1] * 100_000)), "100,000 axes"),
    model("safetensors: without shape", file({"a": {"dtype": "F32", "data_offsets": [0, 4]}}), INVALID),
    model("safetensors: without place", file({"a": {"dtype": "F32", "shape": [1]}}), "lacks a tensor's place"),
    model("safetensors: a place before the file", file(one(begin=-4, end=0)),
        "not valid safetensors|lacks a tensor's place"),
    model("safetensors: a place backwards", file(one(begin=4, end=0)), INVALID),
    model("safetensors: a place of words", file(one(begin="x", end="y")), "lacks a tensor's place"),
    model("safetensors: a place of 10^400", file(json.dumps(one()).replace(", 4]", ", 1" + "0" * 400 + "]")),
        "beyond any file"),
    model("safetensors: a place of 10^5000", file(json.dumps(one()).replace(", 4]", ", 1" + "0" * 5000 + "]")),
        NOT_JSON),
    model("safetensors: a place that is NaN", file(json.dumps(one()).replace(", 4]", ", NaN]")),
        "lacks a tensor's place|not valid"),
    model("safetensors: a place that is infinite", file(json.dumps(one()).replace(", 4]", ", 1e999]")),
        "lacks a tensor's place|not valid"),
    model("safetensors: an unknown type", file(one(dtype="X9")), INVALID),
    model("safetensors: 4-bit floats", file(one(dtype="F4", shape=[8])), "are not: a|not valid"),
    model("safetensors: 8-bit floats", file(one(dtype="F8_E4M3", shape=[4])), "are not: a|not valid"),
    model("safetensors: complex", file(one(dtype="C64", begin=0, end=8), bytes(8)), "are not: a|not valid"),
    model("safetensors: a name with NUL", file(one("a\0b")), NAME),
    model("safetensors: a name with a line feed", file(one("a\nb")), NAME),
    model("safetensors: an empty name", file(one("")), NAME),
    model("safetensors: a name of 10 kB", file(one("a" * 10_000)), NAME),
    model("safetensors: a name that is a path", file(one("../../etc/passwd")),
        r"does not know: \.\./\.\./etc/passwd"),
    model("safetensors: a name that is half a character", file(one("\ud800")), "not valid|halves of characters"),
    model("safetensors: half a character, twice", file(TWICE.replace('"a"', '"\\ud800"')), r"'\\ud800' twice"),
    model("safetensors: bytes that are no UTF-8", file(json.dumps(one("?")).replace("?", "\udc80")), "invalid UTF-8"),
    model("safetensors: metadata 5,000 deep",
        file('{"__metadata__":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}", b""), NOT_JSON),
    model("safetensors: a header 100,000 deep", file("{" + '"a":{' * 100_000, b""), NOT_JSON),
    model("safetensors: metadata of numbers", file({"__metadata__": {"a": 1}, **one()}), INVALID),
    model("safetensors: metadata that is a list", file({"__metadata__": ["a"], **one()}), "not a table of tensors"),
    model("safetensors: a header that is a list", b"\x09\0\0\0\0\0\0\0[{\"a\": 1}]", "looks like"),
    model("safetensors: a tensor that is a number", file({"a": 3}), "not a table of tensors"),
    model("safetensors: an empty header", file({}, b""), "tensors that are missing"),
    model("safetensors: NaN weights", weights(value=struct.pack("<f", float("nan"))),
        "NaN or infinite values: layers.0"),
    model("safetensors: infinite weights", weights(value=struct.pack("<f", float("inf"))),
        "NaN or infinite values: layers.0"),
    model("safetensors: signalling NaN", weights(value=b"\x01\x00\x80\x7f"), "NaN or infinite values: layers.0"),
    model("safetensors: NaN in 16 bits", weights("BF16", b"\xc0\x7f"), "NaN or infinite values: layers.0"),
    model("safetensors: float64 beyond float32", weights("F64", struct.pack("<d", 1e300)),
        "infinite in float32: layers.0"),
    model("safetensors: integers", weights("I32"), "tensors are not: layers.0"),
    model("safetensors: booleans that are neither", weights("BOOL", b"\x07"), "tensors are not: layers.0"),
    model("safetensors: preprocessing 1,000 deep",
          lambda path: (weights()(path), _with_metadata(path, {"preprocessing": "[" * 100_000})), ""),
]  # fmt: skip


def _with_metadata(path: Path, metadata: dict[str, str]) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    file({"__metadata__": metadata, **header}, content[8 + length :])(path)
