"""The student's weights, `student.safetensors`, under the user's names; the generations before it lie beside."""

import json
from pathlib import Path

from app.contract.preprocessing import Preprocessing
from worker.engine.checkpoint import digest, publish
from worker.engine.files import tensor_file
from worker.engine.networks import key_maps, tied
from worker.engine.published.distilled import Distilled
from worker.engine.state import Tensors

NAME = "student.safetensors"


_MAX_BYTES = 2 * 2**20
"""Of the preprocessing as it stands in the header, which readers take up to twice this size; half of it is for the
architecture."""


def write(out: Path, made: Distilled) -> str:
    """Write the student and earlier generations (equal weights give equal bytes); return the student's SHA-256."""
    for number, weights in enumerate(made.generations, start=1):
        _write(out / f"generation-{number}.safetensors", made, weights)
    return _write(out / NAME, made, made.weights)


def _write(path: Path, made: Distilled, weights: Tensors) -> str:
    student = made.job.student
    weights = tied.stored(student.architecture, weights) if made.own_names else weights
    names = key_maps.exported(weights, student.key_map)
    temporary = path.with_name(f"{path.name}.tmp")
    metadata = {
        "format": "pt",
        **_short("architecture", student.architecture.model_dump_json(), _MAX_BYTES // 2),
        **metadata_of(made.preprocessing),
    }
    try:
        tensor_file.write(temporary, {names[name]: weights[name] for name in names}, metadata)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest(path)


def metadata_of(preprocessing: Preprocessing | None) -> dict[str, str]:
    """Return how the student sees samples, so that its file alone can teach; a longer one is in the manifest only."""
    return _short("preprocessing", preprocessing.model_dump_json(), _MAX_BYTES) if preprocessing else {}


def _short(name: str, text: str, most: int) -> dict[str, str]:
    return {name: text} if len(json.dumps(text)) <= most else {}
