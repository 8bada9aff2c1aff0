"""Pictures in class folders of an archive, or in a Parquet column. N = samples, C = channels, H, W = height, width."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.contract import inspection
from app.contract.inspection import FileFormat
from app.contract.transfer import UNLABELLED, Images
from worker.engine.data import class_folders, pictures
from worker.engine.data.content import Content
from worker.engine.data.labels import LONGEST, labels_of, parts_of
from worker.engine.data.picture_column import PictureColumn
from worker.engine.data.pictures import Header
from worker.engine.data.samples import ArraySamples, Samples
from worker.engine.data.streamed import StreamedSamples
from worker.engine.failures import Refused
from worker.engine.files import file_kinds
from worker.engine.files.archives import archive_form, read_files
from worker.engine.files.row_file import RowFile

_IN_MEMORY = 256 * 2**20
_MOST_BYTES = 64 * 2**30
"""Of all pixels; more would not fit the largest file that a sandboxed child may write."""

Each = Callable[[], Iterator[tuple[str, bytes]]]
"""Yields every picture's name and bytes, the same each time."""


@dataclass(frozen=True)
class _Known:
    """What the file says of its pictures."""

    labels_N: Tensor | None = None
    labels: inspection.Tensor | None = None
    split_N: Tensor | None = None
    class_names: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)


def read(path: Path, wanted: Images) -> Content:
    """Read, decode and check a file. Raises Refused where it is no set of pictures."""
    form, each, known_of = _opened(path, wanted)
    headers = [(name, pictures.header(name, content)) for name, content in each()]
    if not headers:
        raise Refused("The file holds no pictures.")
    known = known_of([name for name, _ in headers])
    size = wanted.size or _common_size(headers)
    channels = wanted.channels or (1 if all(header.grey for _, header in headers) else 3)
    shape = (len(headers), channels, *size)
    decoded = (pictures.decode(name, content, channels, size, wanted.filter) for name, content in each())
    return Content(
        form,
        samples=_stored(decoded, shape),
        inputs=inspection.Tensor(name="pixels", shape=shape, dtype="uint8"),
        labels_N=known.labels_N,
        labels=known.labels,
        split_N=known.split_N,
        class_names=known.class_names,
        problems=known.problems,
    )


def _opened(path: Path, wanted: Images) -> tuple[FileFormat, Each, Callable[[Sequence[str]], _Known]]:
    if form := archive_form(path):
        return form, lambda: read_files(path), lambda names: _from_folders(names, wanted)
    kind = file_kinds.recognise(path)
    if kind.name != "parquet":
        raise Refused(f"The file is neither a .zip, .tar or .tar.gz archive nor Parquet: it looks like {kind.words}.")
    table = PictureColumn(path, wanted)
    return "parquet", table.pictures, lambda _: _from_columns(table, wanted)


def _from_columns(table: PictureColumn, wanted: Images) -> _Known:
    facts = table.facts()
    split_N, problems = parts_of(facts, table.split) if table.split else (None, [])
    if table.label is None:
        return _Known(split_N=split_N, class_names=wanted.classes or (), problems=problems)
    found = labels_of(facts, table.label, wanted.classes or table.class_names())
    labels = inspection.Tensor(name=table.label, shape=tuple(found.values_N.shape), dtype=found.dtype)
    return _Known(found.values_N, labels, split_N, found.class_names, [*found.problems, *problems])


def _from_folders(names: Sequence[str], wanted: Images) -> _Known:
    places = class_folders.places(names)
    found = {place.label for place in places if place.label is not None}
    class_names = wanted.classes or tuple(sorted(found))
    problems = []
    if long := sorted(name for name in found if len(name) > LONGEST):
        text = f"The folder {long[0][:100]!r}… has a name of {len(long[0]):,} characters"
        return _Known(problems=[f"{text}, and names of classes have at most {LONGEST}."])
    if strange := sorted(found - set(class_names)):
        problems.append(f"The folder {strange[0]!r} is none of the classes given ({', '.join(class_names[:20])}).")
    numbers = {name: number for number, name in enumerate(class_names)}
    labels_N = torch.tensor([numbers.get(place.label or "", UNLABELLED) for place in places])
    parts = [place.part for place in places if place.part is not None]
    if parts and 0 not in parts:
        problems.append("The folders leave no sample to train on: there is none in `train`.")
    return _Known(
        labels_N if found else None,
        inspection.Tensor(name="folder", shape=(len(places),), dtype="string") if found else None,
        torch.tensor(parts) if parts else None,
        class_names,
        problems,
    )


def _common_size(headers: Sequence[tuple[str, Header]]) -> tuple[int, int]:
    (usual, _), *others = Counter(header.size for _, header in headers).most_common(2)
    if others:
        name, odd = next((name, header.size) for name, header in headers if header.size != usual)
        raise Refused(
            f"The pictures differ in size: {name!r} is {odd[0]} pixels high and {odd[1]} wide, and most are "
            f"{usual[0]} high and {usual[1]} wide. Give `size` as [height, width] to stretch them all to one."
        )
    return usual


def _stored(decoded: Iterator[np.ndarray], shape: tuple[int, ...]) -> Samples:
    """Return the pixels (N, C, H, W): in memory, or in a nameless file that ends with this process."""
    total = int(np.prod(shape, dtype=object))
    if total > _MOST_BYTES:
        raise Refused(
            f"The decoded pictures take {total:,} bytes; at most {_MOST_BYTES:,} are held. Give a smaller size."
        )
    if total <= _IN_MEMORY:
        pixels = np.empty(shape, np.uint8)
        for place, picture in zip(pixels, decoded, strict=True):
            place[...] = picture
        return ArraySamples(torch.from_numpy(pixels), "image")
    with tempfile.TemporaryFile() as file:
        for picture in decoded:
            file.write(picture.data)
        file.flush()
        return StreamedSamples(RowFile(os.dup(file.fileno()), 0, shape, torch.uint8), "image")
