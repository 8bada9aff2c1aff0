"""Inspect an uploaded model or transfer set: python -m worker.engine.inspection JOBDIR.

Reads JOBDIR/job.json (an InspectionFile) and writes JOBDIR/out/inspection.json; a pickled state dict that fits, or a
Hugging Face folder's, is also written as JOBDIR/out/weights.safetensors, and what that folder is as
JOBDIR/out/resolved.json. Exits with 0 when there is a finding, also one that rejects the upload; 73: the disk is full.
"""

import argparse
import os
import resource
from pathlib import Path

from pydantic import ValidationError

from app.contract.base import Contract
from app.contract.disks import FULL
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import EXIT_DISK_FULL, EXIT_DONE, Inspection, InspectionFile, InspectModel
from app.contract.registration import HuggingFace
from worker.engine.ending import end
from worker.engine.failures import out_of_memory


def main() -> int:
    """Run one inspection; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.engine.inspection", description=__doc__)
    parser.add_argument("jobdir", type=Path, help="directory with job.json and inputs/")
    folder: Path = parser.parse_args().jobdir
    try:
        job = InspectionFile.model_validate_json((folder / "job.json").read_bytes())
    except OSError as error:
        parser.error(f"cannot read {folder / 'job.json'}: {error.strerror}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        parser.error(f"job.json is not an inspection: {'/'.join(map(str, first['loc']))}: {first['msg']}")
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    out = folder / "out"
    try:
        out.mkdir(exist_ok=True)
        _write(out / "inspection.json", _finding(folder, job))
    except OSError as error:
        if error.errno in FULL:
            return EXIT_DISK_FULL
        raise
    return EXIT_DONE


def _finding(folder: Path, job: InspectionFile) -> Inspection:
    try:
        return _inspect(folder, job)
    except Exception as error:
        if not out_of_memory(error):
            raise
    # Here and not above, where the error still holds what was read.
    finding = ModelInspection if isinstance(job.subject, InspectModel) else DatasetInspection
    return finding(problems=[Problem(detail=f"The file needs more memory than {_memory()}.")])


def _memory() -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "this host has" if limit == resource.RLIM_INFINITY else f"the {limit / 2**30:.1f} GiB of an inspection"


def _write(path: Path, content: Contract) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(content.model_dump_json(indent=2) + "\n")
    temporary.replace(path)


def _inspect(folder: Path, job: InspectionFile) -> Inspection:
    path = folder / job.subject.path
    # Only now: torch reads the environment when it is imported.
    if isinstance(job.subject, InspectModel):
        from worker.engine.inspection.models import inspect_model  # noqa: PLC0415

        converted = folder / "out" / "weights.safetensors"
        if isinstance(job.subject.architecture, HuggingFace):
            return _inspect_folder(path, job.subject, converted, job.max_parameters)
        return inspect_model(path, job.subject, converted, job.max_parameters)
    from worker.engine.inspection.datasets import inspect_dataset  # noqa: PLC0415

    return inspect_dataset(path, job.subject)


def _inspect_folder(path: Path, subject: InspectModel, converted: Path, max_parameters: int | None) -> Inspection:
    from worker.engine.inspection.hugging_face import inspect_folder  # noqa: PLC0415

    finding, resolved = inspect_folder(path, subject, converted, max_parameters)
    if resolved:
        _write(converted.with_name("resolved.json"), resolved)
    return finding


if __name__ == "__main__":
    end(main())
