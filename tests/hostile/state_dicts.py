"""Pickled state dicts whose tensors are not what they say: out of bounds, out of nothing, sparse, or very many."""

import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from app.contract.architectures import Resnet
from tests.hostile.case import Case, Write, model
from tests.hostile.pickles import DAMAGED, archive, number, saved, storage, tensor, text
from worker.engine import build

WEIGHT = torch.arange(30.0).reshape(5, 6)


RESNET = Resnet(depth=8, widths=(2, 2, 2, 4), channels=1, classes=3)
PLAIN = "is not a plain dense one"


def view(sizes: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, values: int = 30) -> Write:
    """Write a state dict of one view into 30 numbers, which may be said to be more."""
    pickled = b"\x80\x02}" + text(b"0.weight") + tensor(storage(values), sizes, strides, offset) + b"s."
    return archive(pickled, {"0": WEIGHT.numpy().tobytes()})


def sparse(indices: list[list[int]], **options: Any) -> Write:
    def made() -> Any:
        values = torch.ones(len(indices[0]))
        return {"0.weight": torch.sparse_coo_tensor(torch.tensor(indices), values, (5, 6), check_invariants=False)}

    return saved(made, **options)


def rows_that_lie() -> Any:
    starts, columns = torch.tensor([0, 1, 10**6]), torch.tensor([0, 1])
    with warnings.catch_warnings(action="ignore"):
        return {"0.weight": torch.sparse_csr_tensor(starts, columns, torch.ones(2), (2, 6), check_invariants=False)}


def counter_of(dtype: torch.dtype) -> Any:
    """Return a network's weights whose counters of batches have another type."""
    torch.manual_seed(0)
    weights = build.network(RESNET).state_dict()
    return {name: value.to(dtype) if name.endswith("tracked") else value for name, value in weights.items()}


def nested(depth: int) -> bytes:
    return b"\x80\x02}" + text(b"a") + b"]" * depth + b"a" * (depth - 1) + b"s."


def laughing(levels: int) -> bytes:
    """Return a key that holds the one before twice, and so on: it takes 2^levels steps to hash."""
    doubled = b"".join(b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) for level in range(levels))
    return b"\x80\x02}" + text(b"a") + b"q\x00" + doubled + b"K\x01s."


def many(names: int) -> bytes:
    """Return a state dict that has one tensor under many names."""
    rest = b"".join(text(b"%d" % place) + b"h\x00" for place in range(1, names))
    return b"\x80\x02}(" + text(b"0") + tensor(storage(30), (1,), (1,)) + b"q\x00" + rest + b"u."


def aliased() -> Any:
    whole = torch.zeros(250_000)
    return {f"layer.{place}": whole for place in range(2_000)}


def packed_again(path: Path) -> None:
    """Write 100 MB of zeros, deflated to 100 kB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", b"\x80\x02}.")
        packed.writestr("archive/data/0", bytes(10**8))


def overlapping(path: Path) -> None:
    """Write an archive in whose directory twenty entries share their bytes."""
    archive(b"\x80\x02}.", {str(key): bytes(10_000 if key == 0 else 1) for key in range(20)})(path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as packed:
        entries, at = packed.infolist(), packed.start_dir
    first = next(entry for entry in entries if entry.filename.endswith("data/0"))
    for entry in entries:
        if "/data/" in entry.filename:
            struct.pack_into("<III", content, at + 16, first.CRC, first.file_size, first.file_size)
            struct.pack_into("<I", content, at + 42, first.header_offset)
        at += 46 + len(entry.filename) + len(entry.extra)
    path.write_bytes(content)


def claiming(size: int) -> Write:
    """Write an archive whose directory says that the pickle has so many bytes."""

    def write(path: Path) -> None:
        archive(b"\x80\x02}.")(path)
        content = bytearray(path.read_bytes())
        at = content.index(b"PK\x01\x02")
        struct.pack_into("<II", content, at + 20, size, size)
        path.write_bytes(content)

    return write


SWELLS: list[Case] = [
    model("pickle: deflated entries", packed_again, "compressed entries"),
    model("pickle: entries that overlap", overlapping, "entries overlap"),
    model("pickle: a directory that claims 4 GB", claiming(2**32 - 2), "claims 4,294,967,294 bytes"),
    model("pickle: a storage that claims 4 TB", view((5, 6), (6, 1), values=10**12), DAMAGED),
    model("pickle: a view of 4 TB", view((10**12,), (0,)), "claims more values than are stored"),
    model("pickle: lists 100,000 deep", archive(nested(100_000)), "are something else: a"),
    model("pickle: a memo of 4 billion", archive(b"\x80\x02}r\xff\xff\xff\xff" + text(b"a") + b"j\xff\xff\xff\xffs."),
          "are something else: a"),
    model("pickle: a state dict in itself", archive(b"\x80\x02}q\x00" + text(b"state_dict") + b"h\x00s."),
        "something else: state_dict"),
    model("pickle: a key of 2^22 parts", archive(laughing(22)), "something else: .{0,300}$"),
    model("pickle: a bytearray of 1 TB", archive(b"\x80\x02cbuiltins\nbytearray\n" + number(10**12) + b"\x85R."),
        "needs more memory"),
    model("pickle: a tensor of 4 TB out of nothing",
        archive(b"\x80\x02ctorch\nFloatTensor\n" + number(10**12) + b"\x85R."),
          "needs more memory"),
    model("pickle: a storage out of nothing",
        archive(b"\x80\x02ctorch.storage\nUntypedStorage\n" + number(10**12) + b"\x85R."),
          "needs more memory"),
    model("pickle: numbers out of nothing",
        archive(b"\x80\x02}" + text(b"0.weight") + b"ctorch\nFloatTensor\nM\xe8\x03K\x06\x86Rs."),
          "more values than the file"),
    model("pickle: a string that claims 4 GB", archive(b"\x80\x02X\xff\xff\xff\xffa."), DAMAGED),
    model("pickle: one storage under 2,000 names", saved(aliased), "share their values"),
    model("pickle: 50,001 tensors", archive(many(50_001), {"0": bytes(120)}), "50,001 tensors; at most 50,000"),
]  # fmt: skip

NOT_PLAIN: list[Case] = [
    model("tensor: beyond its storage", view((5, 6), (6, 1), offset=1), DAMAGED),
    model("tensor: an offset of 2^62", view((5, 6), (6, 1), offset=2**62), DAMAGED),
    model("tensor: a negative offset", view((5, 6), (6, 1), offset=-4), DAMAGED),
    model("tensor: negative strides", view((5, 6), (-6, -1), offset=29), DAMAGED),
    model("tensor: huge strides", view((5, 6), (2**62, 2**62)), DAMAGED),
    model("tensor: negative sizes", view((-5, -6), (6, 1)), DAMAGED),
    model("tensor: sizes that overflow", view((2**40, 2**40), (0, 0)), f"{DAMAGED}|claims more values"),
    model("tensor: a missing storage", archive(b"\x80\x02}" + text(b"a") + tensor(storage(30), (5,), (1,)) + b"s."),
        DAMAGED),
    model("tensor: a storage's name that leads out",
          archive(b"\x80\x02}" + text(b"a") + tensor(storage(30, b"../../../etc/passwd"), (5,), (1,)) + b"s."),
          DAMAGED),
    model("tensor: a storage on another device",
          archive(b"\x80\x02}" + text(b"a") + tensor(storage(30, device=b"cuda:7"), (5,), (1,)) + b"s.",
          {"0": bytes(120)}), "needs tensors"),
    model("sparse", saved(lambda: {"0.weight": torch.eye(5, 6).to_sparse()}), PLAIN),
    model("sparse: indices out of bounds", sparse([[0, 10**9], [0, 10**9]]), f"{DAMAGED}|sparse"),
    model("sparse: negative indices", sparse([[-1], [-10**12]]), f"{DAMAGED}|sparse"),
    model("sparse: rows that lie", saved(rows_that_lie), f"{DAMAGED}|sparse"),
    model("quantized", saved(lambda: {"0.weight": torch.quantize_per_tensor(WEIGHT, 0.1, 0, torch.qint8)}),
        f"{PLAIN}|damaged|run code"),
    model("without values", saved({"0.weight": torch.empty(5, 6, device="meta")}), f"{PLAIN}.*meta"),
    model("complex", saved({"0.weight": WEIGHT.to(torch.complex64)}), "these tensors are not: 0.weight"),
    model("8-bit floats", saved({"0.weight": WEIGHT.to(torch.float8_e4m3fn)}), "these tensors are not: 0.weight"),
    model("nested", saved(lambda: {"0.weight": torch.nested.nested_tensor([WEIGHT[0], WEIGHT[1, :2]])}),
        f"{PLAIN}|damaged|run code"),
    model("counters that are complex", saved(lambda: counter_of(torch.complex64)),
        "tensors are not: .*num_batches_tracked", RESNET),
    model("counters that are 16-bit", saved(lambda: counter_of(torch.uint16)), "", RESNET),
    model("NaN weights", saved({"0.weight": WEIGHT * float("nan")}), "NaN or infinite values: 0.weight"),
    model("infinite weights", saved({"0.weight": WEIGHT, "0.bias": torch.full((5,), float("-inf"))}),
        "NaN or infinite values: 0.bias"),
    model("pickle: a list", saved([1, 2]), "holds a list, not a state dict"),
    model("pickle: nothing", saved({}), "state dict is empty"),
    model("pickle: beside tensors something else", saved({"a": 1, "b": torch.zeros(1)}), "something else: a"),
    model("pickle: keys that are no words", saved({1: torch.zeros(1)}), "something else: 1"),
    model("pickle: a key that is half a character",
        archive(b"\x80\x02}" + text(b"\xed\xa0\x80") + tensor(storage(30), (5,), (1,)) + b"s.", {"0": bytes(120)}),
          r"\\ud800"),
    model("pickle: a key of 1 MB", saved({"a" * 10**6: torch.zeros(1)}), "^.{50,5000}$"),
    model("pickle: cut short", archive(b"\x80\x02}"), DAMAGED),
    model("pickle: an unknown version", archive(b"\x80\x02}.", version=b"999999\n"), DAMAGED),
    model("pickle: an unknown byte order", archive(b"\x80\x02}.", byteorder=b"middle"), DAMAGED),
    model("pickle: OrderedDict", saved(OrderedDict({"layers.0.weight": WEIGHT})),
        "tensors that are missing: layers.0.bias"),
]  # fmt: skip
CASES = [*SWELLS, *NOT_PLAIN]
