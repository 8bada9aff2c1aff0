"""The Celery application of the workers: `celery`, from the environment.

Celery is a doorbell here, the row is the truth (docs of `app.queue`), and its settings follow from that:

- early acknowledgement: a message that is lost with its worker, or comes twice, changes nothing. So the visibility
  time-out, after which Redis hands out unacknowledged messages again, never meets a long job.
- no result backend, no Celery time limits, no revoke: leases, the child's own limits and the job's state do that.
- no prefetch: a hint must not lie behind a busy slot while another worker is idle.
- a broker that goes away never ends a running job, and is waited for as long as it takes.
- monitors (flower) are told of workers and tasks where that is set, and may ask, but not command: the broker has no
  users, and drain, cancel and pause are the service's own.
"""

import ctypes
import logging
import signal
from typing import Any

from celery import Celery
from celery.signals import (
    beat_embedded_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)
from celery.worker import control

from app import logs, tracing
from app.queue import HOUSEKEEPING_QUEUE, create_celery
from app.settings import Settings
from worker.drain import Drain
from worker.shutdown import Shutdown

_PR_SET_PDEATHSIG = 1

shutdown = Shutdown()
"""Made before Celery forks its slots, so that all of them share it."""
drain = Drain()


def create_consumer(settings: Settings) -> Celery:
    """Return the application of a worker: the producer's settings and the consumer's."""
    celery = create_celery(settings.broker_url)
    celery.conf.update(
        include=["worker.tasks"],
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # Redis only; elsewhere the line above parks at most one hint a slot
        worker_cancel_long_running_tasks_on_connection_loss=False,  # the default of Celery 6 would kill trainings
        worker_enable_remote_control=settings.flower,
        worker_send_task_events=settings.flower,
        worker_proc_alive_timeout=60,  # a slot starts slowly on a busy host
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_redirect_stdouts=False,
        beat_schedule={"sweep-up": _sweeps(settings.sweep_seconds)},
    )
    return celery


def leave_only_questions() -> None:
    """Take from remote control what acts (shutdown, revoke, pools, queues), and leave what looks."""
    for name, command in control.Panel.meta.items():
        if command.type != "inspect":
            control.Panel.data.pop(name, None)


def _sweeps(seconds: float) -> dict[str, Any]:
    # A sweep that was not begun before the next one is due is not needed any more.
    options = {"queue": HOUSEKEEPING_QUEUE, "expires": seconds, "ignore_result": True}
    return {"task": "stillhouse.sweep_up", "schedule": seconds, "options": options}


@setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logs(**_: Any) -> None:
    """Keep Celery from putting its own handlers in place of ours."""
    settings = Settings()
    logs.set_up(settings.log_format, settings.log_level)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _tell_the_slots(**_: Any) -> None:
    """Pass on the end of the worker, which Celery tells only its main process: jobs write a checkpoint."""
    shutdown.announce()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _trace_the_slot(**_: Any) -> None:
    """Trace in the slots, where jobs are: not before they are forked."""
    tracing.start("stillhouse-worker")


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _send_the_last_spans(**_: Any) -> None:
    tracing.end()


@beat_embedded_init.connect  # type: ignore[untyped-decorator]
def _end_with_the_worker(**_: Any) -> None:
    """Let the embedded beat die with its worker, as the slots do by themselves."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):  # a line for each ring would bury the rest
    logging.getLogger(chatty).setLevel(logging.WARNING)
leave_only_questions()
celery = create_consumer(Settings())
