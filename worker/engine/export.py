"""What a job publishes: the student under the user's names, the report, the manifest, and the lock file."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from app.contract.job_file import JobFile
from app.contract.report import Report
from worker.engine import key_maps, tensor_file
from worker.engine.checkpoint import digest, publish, write_bytes

STUDENT = "student.safetensors"


def export_student(out: Path, job: JobFile, weights: dict[str, Tensor]) -> str:
    """Write the student (equal weights give equal bytes); return its SHA-256."""
    architecture = job.student.architecture
    names = key_maps.exported(weights, job.student.key_map)
    temporary = out / f"{STUDENT}.tmp"
    metadata = {"format": "pt", "architecture": architecture.model_dump_json()}
    try:
        tensor_file.write(temporary, {names[name]: weights[name] for name in names}, metadata)
        publish(temporary, out / STUDENT)
    finally:
        temporary.unlink(missing_ok=True)
    return digest(out / STUDENT)


def export_papers(out: Path, job: JobFile, report: Report, digests: dict[str, Any], more: dict[str, Any]) -> None:
    """Write report, lock file and, last, the manifest. `digests`: teachers (a list), transfer_set, student.

    `more` goes to the manifest: what a user of the student needs beside its weights.
    """
    write_bytes(out / "report.json", report.model_dump_json(indent=2).encode() + b"\n")
    _write_json(out / "job.lock.json", _lock(job, report, digests))
    _write_json(out / "manifest.json", _manifest(out, job, report, digests) | more)


def _lock(job: JobFile, report: Report, digests: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "job": job.model_dump(mode="json"),
        "digests": digests,
        "versions": report.versions,
        "hardware": report.hardware.model_dump(mode="json"),
    }


def _manifest(out: Path, job: JobFile, report: Report, digests: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "name": STUDENT,
        "sha256": digests["student"],
        "size": (out / STUDENT).stat().st_size,
        "architecture": job.student.architecture.model_dump(mode="json"),
        "key_map": job.student.key_map,
        "teachers": [
            {"sha256": sha256, "architecture": teacher.architecture.model_dump(mode="json"), "weight": teacher.weight}
            for teacher, sha256 in zip(job.teachers, digests["teachers"], strict=True)
        ],
        "transfer_set": {"sha256": digests["transfer_set"]},
        "seed": job.spec.seed,
        "versions": report.versions,
        "report": _headline(report),
    }


def _headline(report: Report) -> dict[str, Any]:
    networks = {"teacher": report.teacher, "student": report.student, "control": report.control}
    shown = {"accuracy", "agreement", "kl_to_teacher", "parameters"}
    scores = {who: found.model_dump(include=shown) if found else None for who, found in networks.items()}
    return {"split": report.evaluated_on.split, "samples": report.evaluated_on.samples, **scores}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(content, indent=2).encode() + b"\n")
