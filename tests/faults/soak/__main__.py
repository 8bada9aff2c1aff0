"""Submit many short jobs to a real installation, do it harm all the while, and look whether every promise held.

    python -m tests.faults.soak --jobs 300 --faults 100 --seed 1

A tenth of the jobs is trained by the real engine, the others by a simulated one, whose student shows each step that was
left out or made twice; API, broker, janitor and three workers of two slots are real processes. The same seed gives the
same jobs and the same faults in the same order; when they strike, and whom, follows from how far the jobs are, and is
not reproducible. Exit code 1 where a promise was broken; the histories of the jobs concerned are printed then.
"""

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command

from migrations import config
from tests.faults.soak.run import Outcome, Soak
from tests.servers import postgresql


def main() -> int:
    arguments = _parser().parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("soak").setLevel(logging.INFO)
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-soak-"))
    outcome = soak(folder, arguments.database, arguments.jobs, arguments.faults, arguments.seed, arguments.patience)
    sys.stdout.write(outcome.text + "\n")
    if not (outcome.violations or arguments.keep):
        shutil.rmtree(folder)
    return 1 if outcome.violations else 0


def soak(folder: Path, dialect: str, jobs: int, faults: int, seed: int, patience: float) -> Outcome:
    """Run one in an empty folder."""
    with database(folder, dialect) as url:
        command.upgrade(config(url), "head")
        return asyncio.run(Soak(folder, url, jobs, faults, seed, patience).run())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=300, metavar="N", help="how many to submit (300)")
    parser.add_argument("--faults", type=int, default=100, metavar="M", help="how many to inject (100)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which jobs and faults to draw (1)")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="(sqlite)")
    what = "when no job has ended for so long, those that are left are lost (300)"
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS", help=what)
    parser.add_argument("--keep", action="store_true", help="keep logs and database also where all went well")
    return parser


@contextmanager
def database(folder: Path, dialect: str) -> Iterator[str]:
    if dialect == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/soak.db"
        return
    # Not in this folder, which is closed to PostgreSQL's own user.
    with tempfile.TemporaryDirectory(prefix="stillhouse-postgresql-") as other, postgresql(Path(other) / "data") as url:
        yield url


if __name__ == "__main__":
    sys.exit(main())
