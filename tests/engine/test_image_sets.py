"""Transfer sets of pictures: what they hold, and each way in which they cannot be used."""

import io
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import Images, Splits
from tests.engine.pictures import encoded, picture, tarred, zipped
from tests.engine.uploads import said
from worker.engine.data import pictures
from worker.engine.data.picture_column import PictureColumn
from worker.engine.data.streamed import StreamedSamples
from worker.engine.failures import Refused
from worker.engine.files.archives import Limits
from worker.engine.inspection.datasets import inspect_dataset
from worker.engine.transfer_sets import images

RED = Image.new("RGB", (4, 3), (255, 0, 0))
PETS = {f"{kind}/{number}.png": picture(number) for kind in ("dog", "cat") for number in range(4)}


def inspect(path: Path, **wanted: Any) -> DatasetInspection:
    return inspect_dataset(path, InspectDataset(format=Images(**wanted), splits=Splits()))


def values(path: Path, **wanted: Any) -> torch.Tensor:
    content = images.read(path, Images(**wanted))
    assert not content.problems
    taken = content.samples.take(torch.arange(len(content.samples)))
    assert isinstance(taken, torch.Tensor)
    return taken


def test_class_folders(tmp_path: Path) -> None:
    finding = inspect(zipped(tmp_path / "upload", {**PETS, "unlabelled/1.png": picture(9)}))
    assert not finding.problems
    assert (finding.format, finding.sample_kind, finding.rows) == ("zip", "image", 9)
    assert finding.inputs is not None
    assert (finding.inputs.shape, finding.inputs.dtype, finding.sample_shape) == ((9, 3, 6, 8), "uint8", (3, 6, 8))
    assert (finding.class_names, finding.classes, finding.class_counts) == (["cat", "dog"], 2, [4, 4])
    assert (finding.labelled, finding.unlabelled) == (8, 1)
    assert [row["label"] for row in finding.preview] == [1, 1, 1]


@pytest.mark.parametrize("form", pictures.FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_pixels_are_those_of_pillow(tmp_path: Path, form: str, mode: str) -> None:
    content = picture(3, mode="CMYK" if (mode, form) == ("P", "JPEG") else mode, form=form)
    found = values(tarred(tmp_path / "upload", {"a/1": content, "b/1": content}, "w:gz"), channels=3)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.float32)
    assert found.dtype == torch.float32
    assert (found[1].numpy() == expected.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(("modes", "channels"), [(["L", "1"], 1), (["L", "LA"], 1), (["L", "RGB"], 3), (["RGBA"], 3)])
def test_channels_are_those_of_the_pictures(tmp_path: Path, modes: list[str], channels: int) -> None:
    files = {f"a/{mode}.png": picture(1, mode=mode) for mode in modes}
    assert values(zipped(tmp_path / "upload", files)).shape[1] == channels


def test_an_animation_is_its_first_frame_and_transparency_is_dropped(tmp_path: Path) -> None:
    moving = io.BytesIO()
    RED.save(moving, "GIF", save_all=True, append_images=[Image.new("RGB", (4, 3), (0, 0, 255))])
    clear = Image.new("RGBA", (4, 3), (255, 0, 0, 0))
    pale = RED.convert("P")
    pale.info["transparency"] = bytes([0] * 256)
    files = {"a/1.gif": moving.getvalue(), "a/2.png": encoded(clear), "a/3.png": encoded(pale)}
    found = values(zipped(tmp_path / "upload", files))
    assert all((found[number, 0] == 255).all() and (found[number, 1:] == 0).all() for number in range(3))


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_pictures_are_stretched_to_the_size_asked_for(tmp_path: Path, resample: str) -> None:
    files = {"a/1.png": picture(1, (12, 16)), "b/1.png": picture(2, (5, 7))}
    found = values(zipped(tmp_path / "upload", files), size=(6, 9), filter=resample)
    assert found.shape == (2, 3, 6, 9)
    wanted = Image.open(io.BytesIO(files["a/1.png"])).resize((9, 6), Image.Resampling[resample.upper()])
    assert (found[0].numpy().transpose(1, 2, 0) == np.asarray(wanted)).all()


LAYOUTS: list[tuple[list[str], list[str | None], list[str] | None]] = [
    (["cat/1", "dog/1"], ["cat", "dog"], None),
    (["pets/cat/1", "pets/dog/1"], ["cat", "dog"], None),
    (["cat/1", "cat/2"], ["cat", "cat"], None),
    (["cat/old/1", "dog/1"], ["cat", "dog"], None),
    (["Train/cat/1", "val/cat/2", "test/dog/3"], ["cat", "cat", "dog"], ["train", "validation", "test"]),
    (["x/y/train/cat/1", "x/y/validation/dog/2"], ["cat", "dog"], ["train", "validation"]),
    (["train/cat/1", "unlabeled/2", "test/dog/1"], ["cat", None, "dog"], ["train", "train", "test"]),
    (["train/cat/1", "train/unlabelled/2"], ["cat", None], ["train", "train"]),
    (["train/1", "bus/1"], ["train", "bus"], None),
    (["bus/a/1", "train/a/1"], ["bus", "train"], None),
]


@pytest.mark.parametrize(("names", "labels", "parts"), LAYOUTS, ids=lambda value: "+".join(map(str, value or ["-"])))
def test_where_a_file_lies_says_its_class_and_part(
    tmp_path: Path, names: list[str], labels: list[str | None], parts: list[str] | None
) -> None:
    content = images.read(zipped(tmp_path / "upload", {f"{name}.png": picture(1) for name in names}), Images())
    assert content.labels_N is not None
    found = [content.class_names[label] if label >= 0 else None for label in content.labels_N.tolist()]
    assert found == labels
    given = None if content.split_N is None else [("train", "validation", "test")[part] for part in content.split_N]
    assert given == parts


def test_pictures_without_any_label(tmp_path: Path) -> None:
    finding = inspect(zipped(tmp_path / "upload", {"unlabelled/1.png": picture(1), "unlabelled/2.png": picture(2)}))
    assert (finding.problems, finding.labels, finding.unlabelled, finding.class_names) == ([], None, 2, [])


def test_classes_in_the_order_given(tmp_path: Path) -> None:
    finding = inspect(zipped(tmp_path / "upload", PETS), classes=("dog", "cat", "cow"))
    assert (finding.class_names, finding.classes, finding.class_counts) == (["dog", "cat", "cow"], 3, [4, 4])


def bomb() -> bytes:
    """A picture of a few kilobytes that would take 3.6 GB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    side = (60_000).to_bytes(4, "big")
    rows = zlib.compress(b"\0" * 10**6)
    header = chunk(b"IHDR", side + side + bytes([1, 0, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def noticed(extra: Mapping[str, bytes]) -> dict[str, bytes]:
    return {**PETS, **extra}


CUT = picture(1, (40, 40))
REFUSED: dict[str, tuple[Mapping[str, bytes], dict[str, Any], str]] = {
    "bomb": (noticed({"dog/x.png": bomb()}), {}, "'dog/x.png' has more than 50,000,000 pixels"),
    "large": (
        noticed({"dog/x.png": encoded(Image.new("1", (8_000, 7_000)))}),
        {},
        "'dog/x.png' has more than 50,000,000 pixels",
    ),
    "text": (
        noticed({"dog/x.png": b"meow"}),
        {},
        "'dog/x.png' is no PNG, JPEG, WebP, BMP or GIF picture: it looks like text",
    ),
    "empty": (noticed({"dog/x.png": b""}), {}, "it looks like an empty file"),
    "tiff": (noticed({"dog/x.png": encoded(RED, "TIFF")}), {}, "it looks like a TIFF image"),
    "nested": (
        noticed({"dog/x.zip": b"PK\x03\x04"}),
        {},
        "'dog/x.zip' is no PNG, JPEG, WebP, BMP or GIF picture: it looks like a ZIP",
    ),
    "cut": ({"a/1.png": CUT[: len(CUT) // 2]}, {}, "'a/1.png' is cut short or damaged"),
    "cut jpeg": ({"a/1.jpg": picture(1, (40, 40), form="JPEG")[:900]}, {}, "'a/1.jpg' is cut short or damaged"),
    "deep": ({"a/1.png": encoded(Image.new("I;16", (3, 3)))}, {}, "more than 8 bits a channel"),
    "sizes": (
        noticed({"dog/x.png": picture(1, (5, 8))}),
        {},
        "'dog/x.png' is 5 pixels high and 8 wide, and most are 6 high",
    ),
    "unknown": (PETS, {"classes": ("cat", "cow")}, "The folder 'dog' is none of the classes given (cat, cow)"),
    "bare": (noticed({"x.png": picture(1)}), {}, "'x.png' does not lie in a folder named after its class"),
    "bare part": ({"train/a/1.png": CUT, "train/b.png": CUT, "a/1.png": CUT, "2.png": CUT}, {}, "'2.png' does not lie"),
    "untrained": ({"test/a/1.png": CUT}, {}, "no sample to train on"),
    "nothing": ({"a/.hidden": b"x"}, {}, "holds no pictures"),
}


@pytest.mark.parametrize(("files", "wanted", "text"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("write", [zipped, tarred])
def test_sets_that_cannot_be_used(
    tmp_path: Path, files: Mapping[str, bytes], wanted: dict[str, Any], text: str, write: Callable[..., Path]
) -> None:
    finding = inspect(write(tmp_path / "upload", files), **wanted)
    assert text in said(finding)
    assert not finding.preview


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a,b\n1,2\n", "neither a .zip, .tar or .tar.gz archive nor Parquet: it looks like text"),
        (b"PK\3\4", "damaged"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "upload").write_bytes(content)
    assert text in said(inspect(tmp_path / "upload"))


def test_many_pixels_wait_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "upload", PETS)
    resident = values(path)
    monkeypatch.setattr(images, "_IN_MEMORY", 100)
    assert isinstance(images.read(path, Images()).samples, StreamedSamples)
    assert torch.equal(values(path), resident)


def as_parquet(path: Path, columns: Mapping[str, Any], features: Mapping[str, Any] | None = None) -> Path:
    table = pa.table(dict(columns))
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path)
    return path


CONTENTS = list(PETS.values())


def test_a_column_of_bytes(tmp_path: Path) -> None:
    columns = {"img": CONTENTS, "label": ["dog", "cat", None, "cat"] * 2, "split": ["train", "test"] * 4}
    finding = inspect(as_parquet(tmp_path / "upload", columns))
    assert not finding.problems
    assert (finding.format, finding.class_names, finding.unlabelled) == ("parquet", ["cat", "dog"], 2)
    assert finding.splits == {"train": 4, "validation": 0, "test": 4}
    assert torch.equal(values(tmp_path / "upload"), values(zipped(tmp_path / "zip", PETS)))


def test_a_hugging_face_table(tmp_path: Path) -> None:
    structs = [{"bytes": content, "path": "x.png"} for content in CONTENTS]
    features = {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    finding = inspect(as_parquet(tmp_path / "upload", {"image": structs, "label": [0, 1, -1, 1] * 2}, features))
    assert not finding.problems
    assert (finding.class_names, finding.class_counts, finding.unlabelled) == (["dog", "cat"], [2, 4], 2)


@pytest.mark.parametrize(
    ("columns", "wanted", "text"),
    [
        ({"pixels": CONTENTS}, {}, "no column of pictures (image or img, or the name given); the file has pixels"),
        ({"image": CONTENTS}, {"image": "x"}, "no column 'x' for the pictures; the file has image"),
        ({"image": CONTENTS}, {"label": "y"}, "no column 'y' for the labels; the file has image"),
        ({"image": CONTENTS, "label": ["cat"] * 8}, {"classes": ("dog", "cow")}, "the label 'cat', which is none"),
        ({"image": [CONTENTS[0], None]}, {}, "no bytes of a picture at row 1"),
        ({"image": [{"bytes": None, "path": "x.png"}]}, {}, "no bytes of a picture at row 0"),
        ({"image": ["x.png"]}, {}, "no bytes of a picture at row 0"),
        ({"image": [b"meow"]}, {}, "'row 0' is no PNG"),
    ],
)
def test_columns_that_cannot_be_used(
    tmp_path: Path, columns: Mapping[str, Any], wanted: dict[str, Any], text: str
) -> None:
    assert text in said(inspect(as_parquet(tmp_path / "upload", columns), **wanted))


def test_a_column_is_read_within_limits(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "upload", {"image": CONTENTS})
    with pytest.raises(Refused, match="8 rows; at most 3"):
        PictureColumn(path, Images(), Limits(entries=3))
    for limits in (Limits(entry_bytes=100), Limits(total_bytes=400)):
        with pytest.raises(Refused, match="too many bytes"):
            list(PictureColumn(path, Images(), limits).pictures())


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "upload", {"image": CONTENTS})
    path.write_bytes(path.read_bytes()[:-20])
    assert "The Parquet file is damaged" in said(inspect(path))
