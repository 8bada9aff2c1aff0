"""The student's weights, `student.safetensors`, under the user's names."""

from pathlib import Path

from worker.engine import key_maps, tensor_file
from worker.engine.checkpoint import digest, publish
from worker.engine.distilled import Distilled

NAME = "student.safetensors"


def write(out: Path, made: Distilled) -> str:
    """Write the student (equal weights give equal bytes); return its SHA-256."""
    student = made.job.student
    names = key_maps.exported(made.weights, student.key_map)
    temporary = out / f"{NAME}.tmp"
    metadata = {"format": "pt", "architecture": student.architecture.model_dump_json()}
    try:
        tensor_file.write(temporary, {names[name]: made.weights[name] for name in names}, metadata)
        publish(temporary, out / NAME)
    finally:
        temporary.unlink(missing_ok=True)
    return digest(out / NAME)
