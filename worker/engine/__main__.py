"""Run a distillation job's directory: python -m worker.engine JOBDIR.

Reads JOBDIR/job.json and JOBDIR/inputs/, trains, and writes JOBDIR/out/ (student, report, manifest, lock file); reports
to JOBDIR/events.jsonl and logs to stderr. SIGTERM or Ctrl-C: a checkpoint is written, and the same command goes on.
Exit codes: 0 done, 1 failed (the last event says why), 70 out of memory, 73 disk full, 75 stopped.

A job of several `devices` under torchrun, all of one host: torchrun --nproc-per-node G -m worker.engine JOBDIR. Without
torchrun one process does what they would do side by side.
"""

import argparse
import logging
import os
from pathlib import Path

from pydantic import ValidationError

from app.contract.events import Failed
from app.contract.job_file import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_OUT_OF_MEMORY,
    EXIT_PEER_LOST,
    EXIT_STOPPED,
    JobFile,
)
from app.contract.states import FailureCode
from worker.engine.ending import end
from worker.engine.failures import EngineFailure, PeerLost, Stopped, failure_of
from worker.engine.parallel.place import Place, place
from worker.engine.reporter import Aside, Reporter, failure_aside, log
from worker.engine.stop import StopSignal


def main() -> int:
    """Run one job; return the exit code."""
    stop = StopSignal()
    stop.install()
    here = place()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING if here.rank else logging.INFO)
    folder, job = _read_arguments()
    reporter = _reporter(folder, here)
    stop.pulse = None if here.rank else folder / "events.jsonl"
    try:
        _run(folder, job, reporter, stop)
    except Stopped:
        log.info("stopped; the same directory goes on from its checkpoint")
        return EXIT_STOPPED
    except PeerLost as error:
        return _blame_another(reporter, folder, error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: every end has a code and a sentence
        return _fail(reporter, error)
    finally:
        reporter.close()
    return EXIT_DONE


def _read_arguments() -> tuple[Path, JobFile]:
    parser = argparse.ArgumentParser(
        prog="python -m worker.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("jobdir", type=Path, help="directory with job.json and inputs/")
    folder: Path = parser.parse_args().jobdir
    try:
        return folder, JobFile.model_validate_json((folder / "job.json").read_bytes())
    except OSError as error:
        parser.exit(EXIT_FAILED, f"cannot read {folder / 'job.json'}: {error.strerror}\n")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "/".join(map(str, first["loc"])) or "the file"
        parser.exit(EXIT_FAILED, f"{folder / 'job.json'} is not a job: {where}: {first['msg']}\n")


def _reporter(folder: Path, here: Place) -> Reporter:
    return Aside(folder / _ASIDE / f"{here.rank}.failed") if here.rank else Reporter(folder / "events.jsonl")


def _run(folder: Path, job: JobFile, reporter: Reporter, stop: StopSignal) -> None:
    # Waiting threads must not burn the cores of the job next door. torch reads this when it is imported: only now.
    os.environ |= {"OMP_NUM_THREADS": str(job.threads), "MKL_NUM_THREADS": str(job.threads)}
    os.environ["OMP_WAIT_POLICY"] = "passive"
    import torch  # noqa: PLC0415

    from worker.engine.job import run_job  # noqa: PLC0415
    from worker.engine.parallel.joining import join  # noqa: PLC0415

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    run_job(folder, job, reporter, stop, join(stop))


def _fail(reporter: Reporter, error: Exception) -> int:
    failure = failure_of(error)
    if not isinstance(error, EngineFailure):
        log.error("the engine failed", exc_info=error)
    try:
        reporter.report(Failed(code=failure.code, detail=failure.detail))
    except OSError as full:
        log.error("the failure could not be reported: %s (%s)", failure.detail, full)
    # One of ours knows that it is final.
    return EXIT_FAILED if failure is error else _EXITS.get(failure.code, EXIT_FAILED)


def _blame_another(reporter: Reporter, folder: Path, error: PeerLost) -> int:
    """Tell what another process has failed with, if it could say it; its exit code is the job's."""
    log.warning("another process of the job is gone: %s", error)
    if failure := failure_aside(folder / _ASIDE):
        reporter.report(failure)
    return EXIT_PEER_LOST


_ASIDE = "ranks"
_EXITS = {FailureCode.OUT_OF_MEMORY: EXIT_OUT_OF_MEMORY, FailureCode.DISK_FULL: EXIT_DISK_FULL}


if __name__ == "__main__":
    end(main())
