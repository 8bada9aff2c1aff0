"""SPEC.yaml: a job spec whose teacher and transfer set may be files, which are uploaded first."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from stillhouse.client import Stillhouse
from stillhouse.errors import StillhouseError

TEACHER = frozenset({"file", "architecture", "key_map", "preprocessing", "class_names", "name"})
TRANSFER_SET = frozenset({"file", "format", "splits", "name"})


class UnreadableSpec(StillhouseError):
    """The spec is not a YAML mapping, or names files in a way that cannot be understood."""


def read_spec(path: Path) -> dict[str, Any]:
    """Return the spec as written, or the one that a `job.lock.json` holds; raise UnreadableSpec."""
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableSpec(f"{path} is not YAML: {error}") from error
    if not isinstance(spec, dict):
        raise UnreadableSpec(f"{path} does not hold a mapping (teacher: …, student: …, transfer_set: …)")
    return _locked(spec) or spec


def _locked(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the resolved spec of a lock file; None for any other document."""
    job = document.get("job")
    spec = job.get("spec") if isinstance(job, dict) and "digests" in document else None
    return spec if isinstance(spec, dict) else None


def with_uploads(
    client: Stillhouse, spec: Mapping[str, Any], folder: Path, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Return the spec with ids in place of files, uploaded from `folder`. All is checked before any is uploaded."""
    teacher = _upload_of(spec.get("teacher"), "/teacher", TEACHER, folder)
    transfer_set = _upload_of(spec.get("transfer_set"), "/transfer_set", TRANSFER_SET, folder)
    if transfer_set and not transfer_set["file"].is_file():
        raise UnreadableSpec(f"/transfer_set/file: {transfer_set['file']} is a folder")
    if teacher and "architecture" not in teacher and not teacher["file"].is_dir():
        raise UnreadableSpec("/teacher/architecture: is missing; it says what network the file holds")
    ready = dict(spec)
    if teacher:
        ready["teacher"] = client.models.create(teacher.pop("file"), **teacher).id
        tell(f"teacher: {ready['teacher']}")
    if transfer_set:
        ready["transfer_set"] = client.datasets.create(transfer_set.pop("file"), **transfer_set).id
        tell(f"transfer_set: {ready['transfer_set']}")
    return ready


def _upload_of(part: Any, pointer: str, known: frozenset[str], folder: Path) -> dict[str, Any] | None:
    """Return a part that names a file, its path made absolute; None for a part that is an id."""
    if not isinstance(part, dict) or "members" in part:  # an ensemble names registered models
        return None
    unknown = sorted(set(map(str, part)) - known)
    if unknown:
        raise UnreadableSpec(f"{pointer}/{unknown[0]}: unknown field (known: {', '.join(sorted(known))})")
    if not isinstance(part.get("file"), str):
        raise UnreadableSpec(f"{pointer}/file: is missing; give an id, or the path of a file to upload")
    file = folder / Path(part["file"]).expanduser()
    if not file.exists():
        raise UnreadableSpec(f"{pointer}/file: there is no file {file}")
    return {**part, "file": file}
