"""Whole jobs on pictures: each network sees them through its own preprocessing, and views are of raw pixels."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from pydantic import ValidationError
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from app.contract.architectures import Family, Lstm, Mlp
from app.contract.preprocessing import Image
from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import make
from tests.engine.pictures import encoded, picture, zipped
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure
from worker.engine.preprocessing.image import Pixels

TEACHER = Mlp(inputs=64, hidden=(24,), classes=10)
SMALL = Mlp(inputs=16, hidden=(20,), classes=10)
STANDARD = {"kind": "image", "mean": [0.3], "std": [0.4], "size": [4, 4]}
PIXELS, LABELS = load_digits(return_X_y=True)
PIXELS = (PIXELS[:200].reshape(-1, 8, 8) * 15.9375).astype(np.uint8)


def digits(folder: Path, **settings: Any) -> Path:
    """Lay out a job whose transfer set are pictures of digits, 40 of them for the test."""
    job = {"transfer_set": {"format": {"kind": "images"}}, "teacher": TEACHER, **settings}
    make(folder, **job)
    zipped(
        folder / "inputs" / "transfer_set",
        {
            f"{'test' if row >= 160 else 'train'}/{label}/{row}.png": encoded(Picture.fromarray(pixels))
            for row, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=False))
        },
    )
    return folder


def small(folder: Path, **settings: Any) -> Path:
    spec = {"student": {"architecture": SMALL.model_dump(), "preprocessing": STANDARD}, **settings.pop("spec", {})}
    return digits(folder, spec=spec, **settings)


def test_a_student_with_a_preprocessing_of_its_own(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    spec = {
        "augmentation": [{"kind": "crop", "padding": 1}, {"kind": "colour", "saturation": 0}, {"kind": "cutmix"}],
        "views": {"kind": "fixed", "count": 2},
        "objective": [{"kind": "hard_target"}, {"kind": "soft_target", "weight": 0.1}],
    }
    training = {"epochs": 25, "batch_size": 20, "optimizer": {"kind": "adamw", "learning_rate": 0.01}}
    run_here(small(tmp_path, spec=spec, training=training))
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["class_names"] == [str(digit) for digit in range(10)]
    assert manifest["preprocessing"] == STANDARD
    student = build.network(SMALL).eval()
    student.load_state_dict(load_file(tmp_path / "out" / "student.safetensors"))
    smaller = torch.nn.functional.interpolate(
        torch.from_numpy(PIXELS[160:, None]).float(), (4, 4), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        right = student((smaller / 255 - 0.3) / 0.4).argmax(1).numpy() == LABELS[160:200]
    assert (report.evaluated_on.split, report.evaluated_on.samples) == ("test", 40)
    assert report.student.accuracy == pytest.approx(right.mean())
    assert report.student.accuracy > 0.4
    assert report.student.flops == 2 * (16 * 20 + 20 * 10)


def test_without_preprocessing_pixels_go_from_0_to_1(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    bench = lay_out(digits(tmp_path, student=TEACHER))
    rows = torch.arange(200)
    expected = torch.from_numpy(PIXELS[:, None]).float() / 255
    assert torch.equal(bench.teacher_sights[0].plain(rows), expected)  # type: ignore[arg-type]
    assert torch.equal(bench.student_sight.plain(rows), expected)  # type: ignore[arg-type]
    assert bench.transfer_set.labels_N.tolist() == LABELS[:200].tolist()
    assert torch.equal(bench.transfer_set.rows["test"], torch.arange(160, 200))


def with_teacher(folder: Path, preprocessing: dict[str, Any]) -> Path:
    """Give a job's teacher a preprocessing."""
    job = json.loads((folder / "job.json").read_text())
    job["teachers"][0]["preprocessing"] = preprocessing
    (folder / "job.json").write_text(json.dumps(job))
    return folder


def test_a_student_sees_as_its_teacher_does_unless_it_says_otherwise(
    tmp_path: Path, lay_out: Callable[[Path], Bench]
) -> None:
    rows = torch.arange(3)
    alike = lay_out(with_teacher(digits(tmp_path / "alike", teacher=SMALL, student=SMALL), STANDARD))
    assert torch.equal(alike.student_sight.plain(rows), alike.teacher_sights[0].plain(rows))  # type: ignore[arg-type]
    spec = {"student": {"architecture": TEACHER.model_dump(), "preprocessing": {"kind": "image"}}}
    other = lay_out(with_teacher(digits(tmp_path / "other", teacher=SMALL, spec=spec), STANDARD))
    assert other.teacher_sights[0].plain(rows).shape == (3, 1, 4, 4)  # type: ignore[union-attr]
    assert other.student_sight.plain(rows).shape == (3, 1, 8, 8)  # type: ignore[union-attr]


def test_targets_are_of_the_teachers_preprocessing(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    plain = lay_out(digits(tmp_path / "plain", student=TEACHER))
    scaled = lay_out(with_teacher(digits(tmp_path / "scaled", student=TEACHER), {"kind": "image", "mean": [0.5]}))
    assert plain.targets_key(0) != scaled.targets_key(0)


@pytest.mark.parametrize(
    ("architecture", "preprocessing", "text"),
    [
        (SMALL, None, "does not fit the student: an mlp with inputs=16 takes samples of 16 values, not 64"),
        (TEACHER, STANDARD, "does not fit the student: an mlp with inputs=64 takes samples of 64 values, not 16"),
        (TEACHER, {"kind": "image", "mean": [0, 0, 0]}, "mean and std of 3 channels, and the pictures have 1"),
        (Lstm(inputs=8, hidden=4, classes=10), None, "this lstm takes array samples, and these are image"),
    ],
)
def test_pictures_that_do_not_fit(
    tmp_path: Path, lay_out: Callable[[Path], Bench], architecture: Family, preprocessing: Any, text: str
) -> None:
    spec = {"student": {"architecture": architecture.model_dump(), "preprocessing": preprocessing}}
    with pytest.raises(EngineFailure, match=text) as failure:
        lay_out(digits(tmp_path, spec=spec))
    assert failure.value.code is FailureCode.INVALID_SPEC


def test_only_pictures_are_prepared_as_pictures(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    folder = with_teacher(make(tmp_path), {"kind": "image"})
    with pytest.raises(EngineFailure, match="its preprocessing takes image samples, and these are array"):
        lay_out(folder)


def test_damaged_pictures_fail_the_job_before_training(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    folder = digits(tmp_path)
    zipped(folder / "inputs" / "transfer_set", {"a/1.png": picture(1), "b/x.png": b"meow"})
    with pytest.raises(EngineFailure, match=r"'b/x\.png' is no PNG") as failure:
        lay_out(folder)
    assert failure.value.code is FailureCode.INVALID_TRANSFER_SET


def test_colours_are_prepared_channel_by_channel() -> None:
    raw = torch.randint(256, (2, 3, 5, 6)).float()
    settings = Image(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    found = Pixels(settings)(raw)
    for channel, (mean, std) in enumerate(zip(settings.mean, settings.std, strict=True)):
        torch.testing.assert_close(found[:, channel], (raw[:, channel] / 255 - mean) / std)


def test_pictures_shrink_as_pillow_shrinks_them() -> None:
    content = picture(1, (32, 32))
    with Picture.open(io.BytesIO(content)) as shown:
        raw = torch.from_numpy(np.asarray(shown).transpose(2, 0, 1).copy())[None].float()
        wanted = np.asarray(shown.resize((8, 8), Picture.Resampling.BILINEAR)).transpose(2, 0, 1) / 255
    assert float((Pixels(Image(size=(8, 8)))(raw)[0] - torch.from_numpy(wanted)).abs().max()) < 1.5 / 255


@pytest.mark.parametrize("settings", [{"mean": (0, 0)}, {"std": (0,)}, {"std": (1, 1)}, {"size": (0, 4)}, {"mean": ()}])
def test_settings_that_no_picture_has(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Image(**settings)
