"""Start a worker: `python -m worker distill` or `python -m worker housekeeping`. Settings: STILLHOUSE_* variables."""

import argparse
import asyncio
import logging
import sys
import uuid
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app import logs
from app.db.session import Database
from app.queue import DELIVERY_QUEUE, DISTILL_QUEUE, HOUSEKEEPING_QUEUE, Bell
from app.settings import Settings
from migrations import why_not
from worker.devices import slot_count
from worker.sandbox import walls

_HOUSEKEEPERS = 3
"""One of them at most sends to webhooks: `worker.postman`."""
_LOOK_AGAIN_SECONDS = 1.0
_SAY_SO_EVERY = 10

log = logging.getLogger("worker")


def main(arguments: list[str] | None = None) -> None:
    role = _parser().parse_args(arguments).role
    settings = Settings()
    if not settings.broker_url:
        sys.exit("STILLHOUSE_BROKER_URL is not set: a worker needs the Redis that the API rings, redis://host:6379/0")
    logs.set_up(settings.log_format, settings.log_level)
    settings.data.mkdir(parents=True, exist_ok=True)
    _check_sandbox(settings)
    _check_schema(settings)
    from worker.celery_app import celery  # noqa: PLC0415 - --help and the errors above need no Celery

    _be_present(settings, role)
    celery.worker_main(_distill(settings) if role == "distill" else _housekeeping(settings))


def _be_present(settings: Settings, role: str) -> None:
    """Have the worker tell that it is there, from when it takes work to its end; and heed a wish to drain it."""
    from celery.signals import worker_ready, worker_shutdown  # noqa: PLC0415 - as above

    from worker.celery_app import drain  # noqa: PLC0415
    from worker.presence import Presence, describe  # noqa: PLC0415

    def ready(sender: Any, **_: Any) -> None:
        def heed(wish: str | None) -> None:
            drain.heed(wish)
            # Hints are for those who take them.
            sender.call_soon(sender.cancel_task_queue if wish else sender.add_task_queue, DISTILL_QUEUE)

        slots = slot_count(settings) if role == "distill" else _HOUSEKEEPERS
        presence = Presence(settings, describe(sender.hostname, role, slots), heed)
        worker_shutdown.connect(lambda **_: presence.end(), weak=False)
        presence.start()

    worker_ready.connect(ready, weak=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="A Stillhouse worker. It takes its settings from STILLHOUSE_* variables and runs until SIGTERM, "
        "which gives its jobs STILLHOUSE_STOP_GRACE_SECONDS to write a checkpoint.",
    )
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    roles.add_parser("distill", help="run distillation jobs: one a CUDA device, or STILLHOUSE_SLOTS at once")
    roles.add_parser(
        "housekeeping", help="inspect uploads, send to webhooks, and sweep up every STILLHOUSE_SWEEP_SECONDS"
    )
    return parser


def _check_sandbox(settings: Settings) -> None:
    """Say which walls this host puts around uploads; end where it lacks one that is asked for."""
    lacking = ", ".join(walls.missing())
    if lacking and settings.sandbox == "strict":
        sys.exit(f"not started: this host lacks {lacking}, and STILLHOUSE_SANDBOX is strict (SECURITY.md)")
    log.info("sandbox: %s", ", ".join(walls.available()))
    if lacking:
        log.warning("sandbox: this host lacks %s: what strangers upload is held less tightly", lacking)


def _check_schema(settings: Settings) -> None:
    """Wait for the database as long as it takes; end where its schema is another than this code's."""
    reason = why_not(asyncio.run(_revision(settings)))
    if reason:
        sys.exit(f"not started: {reason}")


async def _revision(settings: Settings) -> str | None:
    database = Database(settings.database, Bell(settings.broker_url))
    looked = 0
    try:
        while True:
            try:
                return await database.revision()
            except SQLAlchemyError as error:
                if looked % _SAY_SO_EVERY == 0:
                    log.warning("waiting for the database: %s", str(error).splitlines()[0])
            looked += 1
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    finally:
        await database.close()


def _distill(settings: Settings) -> list[str]:
    return [*_worker("distill", DISTILL_QUEUE, settings), f"--concurrency={slot_count(settings)}"]


def _housekeeping(settings: Settings) -> list[str]:
    # The schedule lives in memory: after a restart everything is due again soon, and there is no file to lose.
    beat = ["--beat", "--scheduler=celery.beat:Scheduler"]
    return [
        *_worker("housekeeping", f"{HOUSEKEEPING_QUEUE},{DELIVERY_QUEUE}", settings),
        f"--concurrency={_HOUSEKEEPERS}",
        *beat,
    ]


def _worker(role: str, queues: str, settings: Settings) -> list[str]:
    node = f"{role}-{uuid.uuid4().hex[:8]}@%h"  # unique: several workers may share a host
    quiet = ["--without-gossip", "--without-mingle"]  # workers have nothing to say to one another
    quiet += [] if settings.flower else ["--without-heartbeat"]  # which is for monitors
    return [
        "--quiet",
        "worker",
        f"--queues={queues}",
        f"--hostname={node}",
        "--pool=prefork",
        f"--loglevel={settings.log_level.upper()}",
        *quiet,
    ]


if __name__ == "__main__":
    main()
