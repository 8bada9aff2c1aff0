"""What a file is, by its first bytes and never by its name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worker.engine.files.zip_entries import read_entries

Name = Literal[
    "safetensors", "npz", "npy", "torch", "legacy pickle", "torchscript", "pt2", "onnx", "parquet", "text", "other"
]

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"PK", "a ZIP archive"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\xff\xfe", "UTF-16 text, where UTF-8 is read"),
    (b"\xfe\xff", "UTF-16 text, where UTF-8 is read"),
    (b"\x7fELF", "a program"),
    (b"GGUF", "a GGUF model"),
    (b"<", "markup text (HTML or XML)"),
)


@dataclass(frozen=True)
class Kind:
    """`name` for programs, `words` for sentences."""

    name: Name
    words: str


_SURE = {b"\x93NUMPY": Kind("npy", "a single .npy array"), b"PAR1": Kind("parquet", "a Parquet file")}


def recognise(path: Path) -> Kind:
    """Return what the file looks like. Raises Refused where it is a ZIP archive that cannot be read."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(path)
    for magic, kind in _SURE.items():
        if head.startswith(magic):
            return kind
    # A header's length below 2^40 and an opening brace: nothing else starts so.
    if head[8:9] == b"{" and head[5:8] == b"\0\0\0":
        return Kind("safetensors", "a safetensors file")
    if head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return Kind("legacy pickle", "a bare pickle")
    if _is_onnx(head):
        return Kind("onnx", "an ONNX model")
    return _kind_by_words(head)


def _is_onnx(head: bytes) -> bool:
    # Protocol Buffers have no magic: a version in field 1, then a producer's name or an operator set.
    return head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in {b"\x12", b"\x42", b"\x3a"}


def _kind_by_words(head: bytes) -> Kind:
    words = words_for(head)
    return Kind("text" if words == "text" else "other", words)


def _kind_of_zip(path: Path) -> Kind:
    names = [entry.filename for entry in read_entries(path)]
    inner = {name.partition("/")[2] for name in names}
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return Kind("pt2", "a torch.export archive (.pt2)")
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return Kind("torchscript", "a TorchScript archive")
    if "data.pkl" in inner:
        return Kind("torch", "a file of torch.save")
    if names and all(name.endswith(".npy") for name in names):
        return Kind("npz", "an .npz archive")
    return Kind("other", "a ZIP archive of other files" if names else "an empty ZIP archive")


def words_for(head: bytes) -> str:
    """Return what a file that begins so looks like; 512 bytes are enough."""
    if not head:
        return "an empty file"
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    if head[257:262] == b"ustar":
        return "a tar archive"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "text"
    return "unknown or damaged binary data"
