"""Archives of strangers: read within limits, never unpacked, and nothing that leads out of them."""

import gzip
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.engine.pictures import tarred, zipped
from worker.engine.failures import Refused
from worker.engine.files.archives import Limits, archive_form, read_files

Write = Callable[[Path, Mapping[str, bytes]], Path]
WRITERS: dict[str, Write] = {
    "zip": zipped,
    "deflated": lambda path, files: zipped(path, files, zipfile.ZIP_DEFLATED),
    "tar": tarred,
    "tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "gnu": lambda path, files: tarred(path, {f"{'long/' * 40}{name}": held for name, held in files.items()}),
}
FILES = {"a/1": b"one", "b/2": b"2" * 1024, "a/3": b"", "b/4": b"four"}
written = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@written
def test_files_come_in_the_archives_order(tmp_path: Path, write: Write) -> None:
    found = list(read_files(write(tmp_path / "upload", FILES)))
    assert [(name.removeprefix("long/" * 40), content) for name, content in found] == list(FILES.items())
    assert list(tmp_path.iterdir()) == [tmp_path / "upload"]


@written
def test_what_desktops_add_is_passed_over(tmp_path: Path, write: Write) -> None:
    litter = dict.fromkeys(["__MACOSX/a/._1", "a/.DS_Store", "a/Thumbs.db", "a/._1"], b"x")
    found = read_files(write(tmp_path / "upload", {**litter, "./a/1": b"one"}))
    assert [name.removeprefix("long/" * 40) for name, _ in found] == ["a/1"]


@written
@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(entries=3), "3 entries|at most 3 are read"),
        (Limits(entry_bytes=1000), "'.*b/2' has more than 1,000 bytes"),
        (Limits(total_bytes=1020), "more than 1,020 bytes"),
    ],
)
def test_limits(tmp_path: Path, write: Write, limits: Limits, text: str) -> None:
    with pytest.raises(Refused, match=text):
        list(read_files(write(tmp_path / "upload", FILES), limits))


def test_a_stream_that_swells_ends_at_the_limit(tmp_path: Path) -> None:
    tarred(tmp_path / "upload", {"a/1": b"\0" * 10**7, "a/2": b"\0" * 10**7}, "w:gz")
    assert (tmp_path / "upload").stat().st_size < 10**5
    with pytest.raises(Refused, match="more than 12,000,000 bytes"):
        list(read_files(tmp_path / "upload", Limits(total_bytes=12 * 10**6)))


@written
def test_a_name_comes_once(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "upload", {"a/1": b"one", "./a/1": b"two"})
    with pytest.raises(Refused, match="twice"):
        list(read_files(path))


@written
def test_archives_cut_short(tmp_path: Path, write: Write) -> None:
    content = write(tmp_path / "whole", {f"a/{number}": bytes([number]) * 2000 for number in range(40)}).read_bytes()
    for kept in (len(content) // 2, len(content) * 2 // 3 + 100):
        (tmp_path / "upload").write_bytes(content[:kept])
        with pytest.raises(Refused, match="cut short"):
            list(read_files(tmp_path / "upload"))


@pytest.mark.parametrize("write", [zipped, WRITERS["deflated"], WRITERS["tar.gz"]])
def test_a_flipped_bit_is_noticed(tmp_path: Path, write: Write) -> None:
    content = bytearray(write(tmp_path / "upload", {"a/1": bytes(range(256)) * 50}).read_bytes())
    content[200] ^= 4
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(Refused):
        list(read_files(tmp_path / "upload"))


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a,b\n1,2\n")
    assert archive_form(tmp_path / "text") is None
    (tmp_path / "gzip").write_bytes(gzip.compress(b"just text" * 100))
    with pytest.raises(Refused, match="cut short or damaged"):
        list(read_files(tmp_path / "gzip"))
