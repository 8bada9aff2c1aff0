"""A published student opened for use, by what lies beside it: `open_student(folder)` is how its users start."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from app.contract.job_file import NetworkInput
from app.contract.preprocessing import Image
from worker.engine import build
from worker.engine.data.samples import Inputs, Raw
from worker.engine.inputs import load_network
from worker.engine.preprocessing.image import Pixels
from worker.engine.views.encoding import reading_of
from worker.engine.views.sight import as_they_are

Student = Callable[[Raw], Tensor]
"""Samples as they lie in a transfer set to logits (B, C): B texts, or a tensor (B, ...); of pictures, 0 to 255.

B lists of words give logits (A, C) for all of their words in a row; those of words beyond `max_tokens` are zeros.
B texts give a language model's (A, C) for all of their tokens in a row, but each text's last.
"""


def open_student(folder: str | Path, device: str = "cpu") -> Student:
    """Return the student of a folder with `student.safetensors` and `manifest.json`, in evaluation mode.

    Raises EngineFailure where the weights are not those of the manifest.
    """
    manifest = json.loads((Path(folder) / "manifest.json").read_bytes())
    fields = {name: manifest[name] for name in ("sha256", "architecture", "key_map", "preprocessing")}
    source = NetworkInput.model_validate({"path": manifest["name"], **fields})
    network = load_network(Path(folder), source, "student", torch.device(device)).network.eval()
    see = _sight(source, torch.device(device))
    return lambda raw: network(see(raw))


def _sight(source: NetworkInput, device: torch.device) -> Callable[[Raw], Inputs]:
    settings = source.preprocessing
    if settings is None:
        return as_they_are
    if isinstance(settings, Image):
        return Pixels(settings)
    return reading_of(source.architecture)(build.encoder(settings), device)
