"""Archives of pictures whose names, links and sizes lie. `.zip` and `.tar`, packed and plain."""

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.engine.pictures import picture, tarred, zipped
from tests.hostile.case import Case, Files, Write, dataset

PICTURE = picture(0, (6, 8))
OUT = "leads out of its folder"
LINK = "is a link or a device"
NO_UTF8 = "is not UTF-8"


def images(name: str, write: Write | bytes, said: str, **form: Any) -> Case:
    return dataset(name, write, said, "images", **form)


def zip_of(files: Files, packing: int = zipfile.ZIP_STORED) -> Write:
    return lambda path: zipped(path, files, packing)


def tar_of(files: Files, mode: str = "w") -> Write:
    return lambda path: tarred(path, files, mode)


def member(change: Callable[[tarfile.TarInfo], Any], content: bytes = b"", form: int = tarfile.GNU_FORMAT) -> Write:
    """Write a tar of one odd member `a/1`."""

    def write(path: Path) -> None:
        with tarfile.open(path, "w", format=form) as archive:
            odd = tarfile.TarInfo("a/1")
            odd.size = len(content)
            change(odd)
            archive.addfile(odd, io.BytesIO(content))

    return write


def of_type(kind: bytes, target: str = "/etc/passwd") -> Write:
    return member(lambda odd: (setattr(odd, "type", kind), setattr(odd, "linkname", target)))


def zip_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a/1")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")


def through_a_link(path: Path) -> None:
    """Write a link to a folder outside, and then a file in it."""
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "../../.."
        archive.addfile(link)
        inside = tarfile.TarInfo("a/marker")
        inside.size = len(PICTURE)
        archive.addfile(inside, io.BytesIO(PICTURE))


def header_of(kind: bytes, size: int) -> Write:
    """Write an extended header that says that it is so long."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = kind, size
    return lambda path: path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10**6), mtime=0))


def flood(count: int) -> Write:
    """Write extended headers, each of which says something of the next."""
    text = b"30 mtime=1234567890.123456789\n"
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, len(text)
    block = header.tobuf(tarfile.USTAR_FORMAT) + text.ljust(512, b"\0")
    return lambda path: path.write_bytes(gzip.compress(block * count + bytes(1024), mtime=0))


def pax(name: str, value: str) -> Write:
    return member(lambda odd: odd.pax_headers.update({name: value}), PICTURE, tarfile.PAX_FORMAT)


def raw_name(name: bytes) -> Write:
    """Write a tar whose one name is these bytes."""

    def write(path: Path) -> None:
        tarred(path, {"x" * len(name): PICTURE})
        content = bytearray(path.read_bytes())
        content[: len(name)] = name
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content[:512])
        path.write_bytes(content)

    return write


def swelling(size: int, names: int = 1) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for place in range(names):
                archive.writestr(f"a/{place}.png", bytes(size))

    return write


def twice(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", PICTURE)
        archive.writestr("./a/1.png", b"another")


def patched(offset: int, form: str, value: int, files: Files | None = None) -> Write:
    """Write a zip with another number in its directory's first entry."""

    def write(path: Path) -> None:
        zipped(path, files or {"a/1.png": PICTURE, "b/2.png": PICTURE})
        content = bytearray(path.read_bytes())
        struct.pack_into(form, content, content.index(b"PK\x01\x02") + offset, value)
        path.write_bytes(content)

    return write


def ending(offset: int, form: str, value: int) -> Write:
    """Write a zip with another number in its last record."""

    def write(path: Path) -> None:
        zipped(path, {"a/1.png": PICTURE, "b/2.png": PICTURE})
        content = bytearray(path.read_bytes())
        struct.pack_into(form, content, content.rindex(b"PK\x05\x06") + offset, value)
        path.write_bytes(content)

    return write


def zip64(size: int) -> Write:
    """Write an entry that says, in 64 bits, that it is larger than all disks."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/1.png", PICTURE)
            archive.filelist[0].file_size = size

    return write


def gzipped(content: bytes, times: int = 1) -> Write:
    for _ in range(times):
        content = gzip.compress(content, mtime=0)
    return lambda path: path.write_bytes(content)


GOOD = {"a/1.png": PICTURE, "b/1.png": PICTURE, "a/2.png": PICTURE, "b/2.png": PICTURE}
NAMES = ("/etc/passwd", "../up.png", "a/../../up.png", "C:/a.png", "a\\b.png", "a\nb.png", "..")
TYPES = {"symbolic link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE,
         "character device": tarfile.CHRTYPE, "block device": tarfile.BLKTYPE,
         "sparse file of old GNU": tarfile.GNUTYPE_SPARSE}  # fmt: skip
CASES: list[Case] = [
    *(images(f"zip: a file named {name!r}", zip_of({name: PICTURE}), OUT) for name in NAMES),
    *(images(f"tar: a file named {name!r}", tar_of({name: PICTURE}), OUT) for name in NAMES),
    *(images(f"tar: a {name} ", of_type(kind), LINK) for name, kind in TYPES.items()),
    images("tar: a sparse file of PAX",
        member(lambda odd: odd.pax_headers.update({"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000"}),
           form=tarfile.PAX_FORMAT), LINK),
    images("tar: an unknown type", of_type(b"Z"), LINK),
    images("tar: a file behind a link", through_a_link, LINK),
    images("zip: a symbolic link", zip_link, LINK),
    images("zip: a name with NUL", zip_of({"a/1.png\0/../../x": PICTURE}), ""),
    images("tar: a name that is no UTF-8", raw_name(b"a/\xff\xfe.png"), NO_UTF8),
    images("tar: a class that is no UTF-8", raw_name(b"\xff\xfe/1.png"), NO_UTF8),
    images("tar: half a character", tar_of({"\udcff/1.png": PICTURE}), NO_UTF8),
    images("tar: a path of PAX that leads out", pax("path", "../../up.png"), OUT),
    images("tar: a path of PAX with NUL", pax("path", "a/1.png\0x"), OUT),
    images("tar: a link of PAX", pax("linkpath", "/etc/passwd"), ""),
    images("tar: a size of PAX", pax("size", "1000000000000"), "cut short or damaged"),
    images("tar: a negative size of PAX", pax("size", "-1000"), "looks like an empty file"),
    images("tar: a size of PAX that is no number", pax("size", "many"), "looks like an empty file"),
    images("tar: a header of 8 GB", header_of(tarfile.XHDTYPE, 8 * 10**9),
        "a header that claims 8,000,000,000 bytes"),
    images("tar: a global header of 8 GB", header_of(tarfile.XGLTYPE, 8 * 10**9),
        "a header that claims 8,000,000,000 bytes"),
    images("tar: a long name of 8 GB", header_of(tarfile.GNUTYPE_LONGNAME, 8 * 10**9),
        "a header that claims 8,000,000,000 bytes"),
    images("tar: a negative header", header_of(tarfile.XHDTYPE, -512), "cut short or damaged"),
    images("tar: 20,000 headers in a row", flood(20_000), "cut short or damaged .maximum recursion"),
    images("tar: cut short", lambda path: (tarred(path, GOOD), path.write_bytes(path.read_bytes()[:1000])),
        "cut short"),
    images("tar: nothing in it", lambda path: tarfile.open(path, "w").close(), "looks like unknown"),
    images("zip: 70 MB in one file", swelling(70 * 2**20),
        "'a/0.png' has more than 67,108,864 bytes when decompressed"),
    images("gzip: not a tar", gzipped(b"just text" * 100), "cut short or damaged"),
    images("gzip: of gzip of gzip", gzipped(b"\0" * 10**6, 3), "cut short or damaged"),
    images("gzip: cut short", lambda path: path.write_bytes(gzip.compress(bytes(10**5), mtime=0)[:-6]),
        "cut short or damaged"),
    images("gzip: a wrong checksum",
        lambda path: (tarred(path, GOOD, "w:gz"), path.write_bytes(path.read_bytes()[:-8] + bytes(8))),
           "cut short or damaged"),
    images("zip: packed by bzip2", zip_of(GOOD, zipfile.ZIP_BZIP2), "packed otherwise than by deflate"),
    images("zip: packed by LZMA", zip_of(GOOD, zipfile.ZIP_LZMA), "packed otherwise than by deflate"),
    images("zip: packed by nobody knows what", patched(10, "<H", 77), "packed otherwise than by deflate"),
    images("zip: a name twice", twice, "'a/1.png' twice"),
    images("zip: a directory with another size", patched(24, "<I", 10**9), ""),
    images("zip: a directory with another checksum", patched(16, "<I", 7), "cut short or damaged"),
    images("zip: a directory that points to itself", patched(42, "<I", 10**6), "cut short or damaged"),
    images("zip: an entry of 8 EB", zip64(2**63), ""),
    images("zip: names of others in the entries", patched(46, "<I", 0x41414141), "cut short or damaged"),
    images("zip: a directory beyond the file", ending(16, "<I", 10**9), "cut short or damaged"),
    images("zip: a directory of 4 GB", ending(12, "<I", 2**32 - 2), "cut short or damaged"),
    images("zip: encrypted", patched(8, "<H", 1), "encrypted"),
    images("zip: in a zip", zip_of({"a/1.zip": b"PK\x03\x04" + bytes(100), "b/2.png": PICTURE}),
        "'a/1.zip' is no PNG.* a ZIP archive"),
    images("zip: nothing in it", lambda path: zipfile.ZipFile(path, "w").close(), "no pictures"),
    images("zip: folders alone", zip_of({"a/": b"", "b/": b""}), "no pictures"),
    images("zip: a file outside all folders", zip_of({**GOOD, "x.png": PICTURE}),
        "'x.png' does not lie in a folder named"),
    images("zip: folders called train and nothing else", zip_of({"test/a/1.png": PICTURE, "test/b/1.png": PICTURE}),
        "no sample to train on"),
    images("zip: a class of 5,000 characters", zip_of({f"{'a' * 5000}/1.png": PICTURE, "b/1.png": PICTURE}),
        "5,000 characters"),
    images("zip: a class named __class__", zip_of({"__class__/1.png": PICTURE, "constructor/1.png": PICTURE}), ""),
    images("zip: a class of none that is given", zip_of(GOOD), "'a' is none of the classes given",
        classes=["x", "y"]),
]  # fmt: skip
