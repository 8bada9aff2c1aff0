"""Pickled state dicts of every trick: opcodes that run code, and tensors that are not what they say."""

import io
import os
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.hostile.case import Case, Write, marker, model

ADVICE = r"torch\.save\(model\.state_dict\(\), path\)"
CODE = f"would have to run code.*{ADVICE}|not a plain pickled state dict: .*{ADVICE}"
DAMAGED = "pickled state dict is damaged"


class Exploit:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def saved(content: Callable[[], Any] | Any, **options: Any) -> Write:
    """Write what torch.save writes."""

    def write(path: Path) -> None:
        with warnings.catch_warnings(action="ignore"):
            torch.save(content() if callable(content) else content, path, **options)

    return write


def executed(content: Callable[[Exploit], Any], **options: Any) -> Write:
    """Write what torch.save writes of something that holds an exploit."""
    return lambda path: torch.save(content(Exploit(marker(path))), path, **options)


def archive(pickled: bytes, storages: Mapping[str, bytes] | None = None, **more: bytes) -> Write:
    """Write the archive of torch.save around a pickle."""
    entries = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **more}
    entries |= {f"data/{key}": held for key, held in (storages or {}).items()}

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as packed:
            for name, held in entries.items():
                packed.writestr(zipfile.ZipInfo(f"archive/{name}"), held)

    return write


def opcodes(assembled: Callable[[bytes], bytes] | bytes) -> Write:
    """Write an archive around a pickle of raw opcodes, which may be told the marker's path."""
    if isinstance(assembled, bytes):
        return archive(assembled)
    return lambda path: archive(assembled(str(marker(path)).encode()))(path)


def text(word: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word


def number(value: int) -> bytes:
    held = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(held)]) + held


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def storage(values: int, key: bytes = b"0", kind: bytes = b"FloatStorage", device: bytes = b"cpu") -> bytes:
    return tuple_of(text(b"storage"), b"ctorch\n" + kind + b"\n", text(key), text(device), number(values)) + b"Q"


def tensor(held: bytes, sizes: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """Return the opcodes of a view into a storage."""
    ends = [tuple_of(*map(number, numbers)) for numbers in (sizes, strides)]
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + tuple_of(held, number(offset), *ends, b"\x89", hooks) + b"R"


def twice(path: Path) -> None:
    """Write an archive with two pickles of one name: a harmless one, and one that runs code."""
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", b"\x80\x02}" + text(b"a") + b"K\x01s.")
        packed.writestr("archive/data.pkl", b"\x80\x02cos\nmkdir\n" + text(str(marker(path)).encode()) + b"\x85R.")
        packed.writestr("archive/version", b"3\n")


def legacy_tar(path: Path) -> None:
    """Write the form that torch.save had before the first release."""
    with tarfile.open(path, "w") as packed:
        for name, content in {"sys_info": b"", "pickle": b"", "storages": b"", "tensors": b""}.items():
            packed.addfile(tarfile.TarInfo(name), io.BytesIO(content))


def bare(assembled: Callable[[bytes], bytes]) -> Write:
    return lambda path: path.write_bytes(assembled(str(marker(path)).encode()))


def parts_of(*names: str, prefix: str = "net") -> Write:
    """Write an archive with empty files of these names."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                packed.writestr(f"{prefix}/{name}", b"pt2")

    return write


CASES: list[Case] = [
    model("pickle: REDUCE of os.mkdir", executed(lambda exploit: {"0.weight": exploit}),
        r"run code to be read \(it names posix\.mkdir"),
    model("pickle: REDUCE deep in a wrapper",
        executed(lambda exploit: {"state_dict": {}, "args": [{"x": (exploit,)}]}), CODE),
    model("pickle: an exploit in protocol 4", executed(lambda exploit: {"a": exploit}, pickle_protocol=4), CODE),
    model("pickle: an exploit in protocol 5", executed(lambda exploit: [exploit], pickle_protocol=5), CODE),
    model("pickle: an exploit of before 1.6",
        executed(lambda exploit: {"a": exploit}, _use_new_zipfile_serialization=False),
          "bare pickle"),
    model("pickle: INST", opcodes(lambda path: b"(S'" + path + b"'\nios\nmkdir\n."), CODE),
    model("pickle: OBJ", opcodes(lambda path: b"(cos\nmkdir\n" + text(path) + b"o."), CODE),
    model("pickle: STACK_GLOBAL",
        opcodes(lambda path: b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93" + text(path) + b"\x85R."), CODE),
    model("pickle: NEWOBJ of a class",
        opcodes(lambda path: b"\x80\x02csubprocess\nPopen\n" + text(path) + b"\x85\x81."), CODE),
    model("pickle: NEWOBJ_EX", opcodes(lambda path: b"\x80\x04cpathlib\nPath\n" + text(path) + b"\x85}\x92."), CODE),
    model("pickle: GLOBAL of a dotted name",
        opcodes(b"\x80\x02cbuiltins\n__import__\n" + text(b"os") + b"\x85R."), CODE),
    model("pickle: GLOBAL through torch",
        opcodes(lambda path: b"\x80\x02ctorch.serialization\nos.mkdir\n" + text(path) + b"\x85R."), CODE),
    model("pickle: GLOBAL torch.load", opcodes(lambda path: b"\x80\x02ctorch\nload\n" + text(path) + b"\x85R."),
        CODE),
    model("pickle: BUILD into a class",
        opcodes(b"\x80\x02ccollections\nOrderedDict\n}" + text(b"update") + b"K\x01sb."), CODE),
    model("pickle: BUILD of __class__",
        opcodes(b"\x80\x02ccollections\nOrderedDict\n)R}" + text(b"__class__") + b"K\x01sb."),
          "is empty"),
    model("pickle: PERSID", opcodes(b"Pstorage\n."), CODE),
    model("pickle: BINPERSID of a module",
        opcodes(lambda path: b"\x80\x02" + tuple_of(text(b"module"), text(path)) + b"Q."), CODE),
    model("pickle: BINPERSID of nonsense",
        opcodes(b"\x80\x02" + tuple_of(text(b"storage"), b"K\x01") + b"Q."), DAMAGED),
    model("pickle: EXT1", opcodes(b"\x80\x02\x82\x01."), CODE),
    model("pickle: EXT4", opcodes(b"\x80\x02\x84\x01\x00\x00\x00."), CODE),
    model("pickle: a whole network", saved(lambda: torch.nn.Sequential(torch.nn.Linear(6, 5))), CODE),
    model("pickle: a tensor subclass of others", saved({"a": torch.nn.Buffer(torch.ones(1))}),
        "instead of|needs tensors|run code"),
    model("pickle: bare", bare(lambda path: b"\x80\x04cos\nmkdir\n" + text(path) + b"\x85R."), "bare pickle"),
    model("pickle: bare, protocol 0", bare(lambda path: b"cos\nmkdir\n(S'" + path + b"'\ntR."), "it looks like text"),
    model("pickle: two of one name", twice, "'archive/data.pkl' twice"),
    model("TorchScript", parts_of("data.pkl", "constants.pkl", "code/__torch__.py", "version"),
        "TorchScript archive, which runs code"),
    model("torch.export", parts_of("archive_format", "models/model.json", "data/sample_inputs/model.pt"),
        r"\.pt2\), which runs code"),
    model("torch.export of 2.4", parts_of("serialized_exported_program.json", "version"),
        r"\.pt2\), which runs code"),
    model("legacy tar", legacy_tar, "it looks like a tar archive"),
]  # fmt: skip
