"""Arrays in .npz and safetensors files that lie about their shape, hold objects, or swell."""

import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.case import Case, Write, dataset, marker
from tests.hostile.pickles import Exploit
from tests.hostile.safetensors_files import file

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
DAMAGED = "The array 'x.npy' is damaged"
SHORT = "The array 'x.npy' is cut short"


def npz(save: Callable[..., None] = np.savez, **arrays: Any) -> Write:
    def write(path: Path) -> None:
        with path.open("wb") as opened:
            save(opened, **arrays)

    return write


def objects(path: Path) -> None:
    held = np.array([Exploit(marker(path)), Exploit(marker(path))], dtype=object)
    npz(x=held)(path)


def npy(header: str | bytes, data: bytes, version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    size = (len(text) if length is None else length).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + size + text + data


def entries(members: Mapping[str, bytes], packing: int = zipfile.ZIP_STORED) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content, packing)

    return write


def told(shape: str, kind: str = "'<f8'", data: bytes = bytes(128), packing: int = zipfile.ZIP_STORED) -> Write:
    """Write one array with any shape and type at all."""
    return entries({"x.npy": npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n", data)}, packing)


def headed(header: str | bytes, **more: Any) -> Write:
    return entries({"x.npy": npy(header, bytes(128), **more)})


def zeros(size: int) -> Write:
    """Write an array of zeros that deflate packs a thousandfold."""

    def write(path: Path) -> None:
        header = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size // 1000}, 1000), }}\n", b"")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
            member.write(header)
            for _ in range(size // 10**6):
                member.write(bytes(10**6))

    return write


def twice(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("x.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 8), }\n", bytes(128)))


def flipped(path: Path) -> None:
    npz(x=ROWS)(path)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)


def misplaced(path: Path) -> None:
    """Write an archive whose directory says that it begins beyond the file."""
    npz(x=ROWS)(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.rindex(b"PK\x05\x06") + 12, 10_000)
    path.write_bytes(content)


def lying(size: int) -> Write:
    """Write a directory that says that the array has so many bytes, unpacked."""

    def write(path: Path) -> None:
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size // 8}, 8), }}\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", npy(header, bytes(1000)))
            archive.filelist[0].file_size = size + 1000

    return write


def encrypted(path: Path) -> None:
    npz(x=ROWS)(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def labelled(labels: Any, rows: Any = ROWS) -> Write:
    return npz(x=rows, y=labels)


NESTED = "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + "}\n"
MINUS = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "-" * 9000 + "1,)}\n"
FIELDS = "[" + ",".join(f"('f{place}', '<f4')" for place in range(400)) + "]"
NAN = ROWS.copy()
NAN[7, 1] = np.nan
HUGE = np.full(20, 2**64 - 1, dtype=np.uint64)
CASES: list[Case] = [
    dataset("npz: Python objects", objects, "holds Python objects, which would have to be unpickled"),
    dataset("npz: objects in a field", told("(2,)", "[('a', '|O')]"), "holds Python objects"),
    dataset("npz: a shape of 8 TB", told("(1000000000000, 8)"), f"{SHORT}: its shape"),
    dataset("npz: a shape a little too large", told("(3, 8)"), SHORT),
    dataset("npz: a deflated shape of 8 TB", told("(1000000000000, 8)", packing=zipfile.ZIP_DEFLATED),
        f"{SHORT}: its shape"),
    dataset("npz: a negative axis", told("(-1, 8)"), "which none can have"),
    dataset("npz: two negative axes", told("(-2, -8)"), "which none can have"),
    dataset("npz: nothing times 10^12", told("(0, 1000000000000)"), "is empty: there are no samples"),
    dataset("npz: 10^12 rows of nothing", told("(1000000000000, 0)"), "is empty: there are no samples"),
    dataset("npz: a shape of words", told("('a',)"), DAMAGED),
    dataset("npz: a shape of booleans", told("(True, 8)"), "which none can have"),
    dataset("npz: 100 axes", told("(" + "1," * 99 + "16)"), "100 axes"),
    dataset("npz: an axis of 10^30", told("(0, 1" + "0" * 30 + ")"), "which none can have"),
    dataset("npz: strings", told("(2, 8)", "'<U2'"), "not numbers"),
    dataset("npz: strings of 8 GB", told("(0, 8)", "'<U2000000000'"), "not numbers|is empty|x.npy"),
    dataset("npz: records of 400 fields", told("(0, 8)", FIELDS), "not numbers|is empty"),
    dataset("npz: an unknown type", told("(2, 8)", "'<q99'"), DAMAGED),
    dataset("npz: a type that is code", told("(2, 8)", "__import__('os').mkdir('marker')"), DAMAGED),
    dataset("npz: complex", npz(x=ROWS.astype(complex)), "complex128, not numbers"),
    dataset("npz: dates", npz(x=ROWS.astype("datetime64[s]")), "not numbers"),
    dataset("npz: a header of 4 GB claimed", headed("{}", version=b"\x02\x00", length=2**32 - 1), "x.npy"),
    dataset("npz: a header of 60 kB",
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 8)}" + " " * 60_000), DAMAGED),
    dataset("npz: a header 3,000 deep", headed(NESTED), DAMAGED),
    dataset("npz: a header of 9,000 minus signs", headed(MINUS), DAMAGED),
    dataset("npz: a header that is not closed", headed("{'descr': '<f8', 'shape': (2, '''\n"), DAMAGED),
    dataset("npz: a header of NUL", headed(b"\0" * 100), DAMAGED),
    dataset("npz: a header that is no text", headed(b"\xff" * 100), DAMAGED),
    dataset("npz: a header that is a number", headed("7\n"), DAMAGED),
    dataset("npz: version 9", headed("{}", version=b"\x09\x00"), "unknown version|damaged"),
    dataset("npz: an array of nothing", entries({"x.npy": b""}), DAMAGED),
    dataset("npz: a name twice", twice, "names the array 'x' twice"),
    dataset("npz: 5 GB claimed", lying(5 * 10**9),
        "takes 5,000,000,000 bytes when decompressed; at most 4,294,967,296"),
    dataset("npz: 4 GB claimed", lying(4 * 10**9), "needs more memory than the .* GiB of an inspection"),
    dataset("npz: 30 MB of zeros", zeros(30 * 10**6), ""),
    dataset("npz: packed by LZMA", entries({"x.npy": npy("{}", bytes(10**6))}, zipfile.ZIP_LZMA),
        "packed otherwise than by deflate"),
    dataset("npz: a flipped bit", flipped, "is damaged"),
    dataset("npz: a directory beyond the file", misplaced, "cut short or damaged"),
    dataset("npz: encrypted", encrypted, "encrypted"),
    dataset("npz: 100,001 entries", entries({f"{place}.npy": b"" for place in range(100_001)}),
        "100,001 entries; at most 100,000"),
    dataset("npz: names that lead out",
        entries({"../../x.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 8), }\n", bytes(128))}),
            r"no array of inputs .*\.\./\.\./x \(2, 8\)"),
    dataset("npz: a zip in it", entries({"x.npy": b"PK\x03\x04" + bytes(100)}), DAMAGED),
    dataset("npz: NaN", npz(x=NAN), "1 rows are not finite numbers in float32; the first is row 7"),
    dataset("npz: beyond float32", npz(x=ROWS.astype(float) * 1e300 + 1e300),
        "20 rows are not finite numbers in float32; the first is row 0"),
    dataset("npz: signed infinity", npz(x=np.full((4, 2), -np.inf, dtype=np.float16)), "first is row 0"),
    dataset("labels: below -1", labelled(np.array([0, -2] * 10)), "row 1 has -2"),
    dataset("labels: 2^64 - 1", labelled(HUGE), "numbers of more than 63 bits"),
    dataset("labels: 2^63 - 1", labelled(np.full(20, 2**63 - 1)), "at most 1,000,000 classes apart: row 0"),
    dataset("labels: 10^12", labelled(np.arange(20) + 10**12), "at most 1,000,000 classes apart: row 0"),
    dataset("labels: one too few", labelled(np.arange(19) % 3), "20 rows and the labels 19"),
    dataset("labels: fractions", labelled(np.arange(20) / 3), "must hold one integer a sample"),
    dataset("labels: NaN", labelled(np.full(20, np.nan)), "must hold one integer a sample"),
    dataset("labels: objects",
        lambda path: npz(x=ROWS, y=np.array([Exploit(marker(path))] * 20, dtype=object))(path),
        "holds Python objects"),
    dataset("split: 255", npz(x=ROWS, split=np.full(20, 255, np.uint8)), "row 0 has 255"),
    dataset("split: of nothing to train on", npz(x=ROWS, split=np.ones(20, int)), "no sample to train on"),
    dataset("array in safetensors: no rows, 10^18 columns",
        file({"x": {"dtype": "F32", "shape": [0, 10**18], "data_offsets": [0, 0]}}, b""),
            "is empty"),
    dataset("array in safetensors: 64 axes",
        file({"x": {"dtype": "F32", "shape": [1] * 64, "data_offsets": [0, 4]}}), ""),
    dataset("array in safetensors: 4-bit floats",
        file({"x": {"dtype": "F4", "shape": [2, 4], "data_offsets": [0, 4]}}), "holds F4, not numbers"),
    dataset("array in safetensors: labels of float64", file({
        "x": {"dtype": "U8", "shape": [2, 2], "data_offsets": [0, 4]},
        "y": {"dtype": "F64", "shape": [2], "data_offsets": [4, 20]}}, bytes(20)),
        "must hold one integer"),
    dataset("a single array",
        lambda path: path.write_bytes(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 8), }\n",
        bytes(128))), "numpy.savez"),
]  # fmt: skip
