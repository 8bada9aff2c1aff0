"""Inspect an uploaded model or transfer set: python -m worker.engine.inspection JOBDIR.

Reads JOBDIR/job.json (an InspectionFile) and writes JOBDIR/out/inspection.json; a pickled state dict that fits is also
written as JOBDIR/out/weights.safetensors. Exits with 0 when there is a finding, also one that rejects the upload.
"""

import argparse
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from app.contract.job_file import EXIT_DONE, Inspection, InspectionFile, InspectModel


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
    out.mkdir(exist_ok=True)
    finding = _inspect(folder, job)
    temporary = out / "inspection.json.tmp"
    temporary.write_text(finding.model_dump_json(indent=2) + "\n")
    temporary.replace(out / "inspection.json")
    return EXIT_DONE


def _inspect(folder: Path, job: InspectionFile) -> Inspection:
    path = folder / job.subject.path
    # Only now: torch reads the environment when it is imported.
    if isinstance(job.subject, InspectModel):
        from worker.engine.inspection.models import inspect_model  # noqa: PLC0415

        converted = folder / "out" / "weights.safetensors"
        return inspect_model(path, job.subject, converted, job.max_parameters)
    from worker.engine.inspection.datasets import inspect_dataset  # noqa: PLC0415

    return inspect_dataset(path, job.subject)


if __name__ == "__main__":
    sys.exit(main())
