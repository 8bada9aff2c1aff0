"""Call every operation of the OpenAPI document with what it allows and with what it does not, and walk its links.

    python -m tests.fuzz --minutes 10 --seed 3

API, workers, broker and database are real, each a process of its own. Looked at are status, type and schema of every
answer, whether bad requests are refused and good ones are not, whether anything is open without a key, what was deleted
stays away and what was made is there. What fails is printed with the curl command that shows it (its key is left out),
and the seed at the end. Exit code 1 where anything failed, or the API logged an error.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from alembic import command

from migrations import config
from tests.faults.soak.__main__ import database
from tests.faults.soak.installation import Broker, settings
from tests.fuzz.run import errors, fuzz
from tests.fuzz.service import serving


def main() -> int:
    asked = _parser().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-fuzz-"))
    (folder / "broker").mkdir()
    broker = Broker(folder / "broker")
    broker.start()
    try:
        with database(folder, asked.database) as url:
            command.upgrade(config(url), "head")
            failed = _run(folder / "data", url, broker.url, asked)
    finally:
        broker.close()
    if failed:
        sys.stdout.write(f"logs: {folder}\n")
    else:
        shutil.rmtree(folder)
    return int(failed)


def _run(data: Path, database_url: str, broker_url: str, asked: argparse.Namespace) -> bool:
    with serving(settings(data, database_url, broker_url), working=True) as service:
        options = ["--seed", str(asked.seed), "--max-time", str(round(asked.minutes * 60))]
        failed = fuzz(service, *options)
        logged = errors(service)
    sys.stdout.writelines(f"logged: {one}\n" for one in logged)
    return bool(failed or logged)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="how long (10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), metavar="S", help="what to draw (any)")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="(sqlite)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
