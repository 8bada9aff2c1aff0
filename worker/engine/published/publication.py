"""What a job publishes into `out/`: the student, its papers, and last the manifest, which has the hash of each."""

import json
from pathlib import Path
from typing import Any

from app.contract.products import PRODUCTS
from worker.engine.checkpoint import digest, write_bytes
from worker.engine.published import card, hugging_face, student_file
from worker.engine.published.distilled import Distilled


def publish(folder: Path, made: Distilled, onnx: bytes | None = None) -> None:
    """Write everything that a job directory's `out/` holds, ONNX too; each file is whole or not there."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    student = student_file.write(out, made)
    write_bytes(out / "report.json", made.report.model_dump_json(indent=2).encode() + b"\n")
    hugging_face.write(out, made)
    if onnx is not None:
        write_bytes(out / "student.onnx", onnx)
    drawn = _plots(out, made) if made.job.spec.export.plots else []
    write_bytes(out / "README.md", card.card(made, student, drawn).encode())
    _write_json(out / "job.lock.json", _lock(made, student))
    _write_json(out / "manifest.json", _manifest(folder, made))


def _plots(out: Path, made: Distilled) -> list[str]:
    # Only where they are wanted: matplotlib takes a second to import.
    from worker.engine.plots.write import write  # noqa: PLC0415

    return write(out, made)


def _lock(made: Distilled, student: str) -> dict[str, Any]:
    return {
        "version": 1,
        "job": made.job.model_dump(mode="json"),
        "digests": {"teachers": list(made.teachers), "transfer_set": made.transfer_set, "student": student},
        "versions": made.report.versions,
        "hardware": made.report.hardware.model_dump(mode="json"),
    }


def _manifest(folder: Path, made: Distilled) -> dict[str, Any]:
    files = _files(folder)
    [student] = [file for file in files if file["kind"] == "student"]
    return {
        "version": 1,
        **{field: student[field] for field in ("name", "sha256", "size")},
        "architecture": made.job.student.architecture.model_dump(mode="json"),
        "key_map": made.job.student.key_map,
        "teachers": [
            {"sha256": sha256, "architecture": teacher.architecture.model_dump(mode="json"), "weight": teacher.weight}
            for teacher, sha256 in zip(made.job.teachers, made.teachers, strict=True)
        ],
        "transfer_set": {"sha256": made.transfer_set},
        "seed": made.job.spec.seed,
        "versions": made.report.versions,
        "report": _headline(made),
        # What a user of the student needs beside its weights.
        "preprocessing": made.preprocessing.model_dump(mode="json") if made.preprocessing else None,
        "class_names": list(made.class_names),
        "encoding": made.encoding,
        "onnx": made.report.onnx.model_dump() if made.report.onnx else None,
        "files": files,
    }


def _files(folder: Path) -> list[dict[str, Any]]:
    return [
        {"kind": product.kind, "name": path.name, "size": path.stat().st_size, "sha256": digest(path)}
        for product in PRODUCTS
        for path in sorted(folder.glob(product.path))
    ]


def _headline(made: Distilled) -> dict[str, Any]:
    report = made.report
    networks = {"teacher": report.teacher, "student": report.student, "control": report.control}
    shown = {"accuracy", "agreement", "kl_to_teacher", "parameters"}
    scores = {who: found.model_dump(include=shown) if found else None for who, found in networks.items()}
    return {"split": report.evaluated_on.split, "samples": report.evaluated_on.samples, **scores}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(content, indent=2).encode() + b"\n")
