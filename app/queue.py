"""The doorbell: a Celery message that says "there is work", sent by task name after the commit.

Nothing depends on its arrival: the row is the truth, and the janitor rings again.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Literal

from celery import Celery
from kombu.exceptions import ChannelError, OperationalError

DISTILL_QUEUE = "stillhouse-distill"
HOUSEKEEPING_QUEUE = "stillhouse-housekeeping"
DELIVERY_QUEUE = "stillhouse-deliveries"
Kind = Literal["distill", "inspect", "deliver"]
_QUEUES: dict[Kind, str] = {"distill": DISTILL_QUEUE, "inspect": HOUSEKEEPING_QUEUE, "deliver": DELIVERY_QUEUE}
_BROKER_SECONDS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Doorbell:
    """Work of a kind is waiting; `id` is a hint, whoever comes takes what is due."""

    kind: Kind
    id: str


def create_celery(broker_url: str) -> Celery:
    """Return the Celery application as producer: JSON only, no result backend, quick to give up."""
    celery = Celery("stillhouse", broker=broker_url)
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        broker_connection_timeout=_BROKER_SECONDS,
        broker_transport_options={"socket_connect_timeout": _BROKER_SECONDS, "socket_timeout": 30},
    )
    return celery


class Bell:
    """Rings doorbells at the broker."""

    def __init__(self, broker_url: str) -> None:
        self._celery = create_celery(broker_url)
        # A doorbell is not worth waiting for: the janitor rings again.
        self._celery.conf.broker_transport_options |= {"max_retries": 0, "socket_timeout": _BROKER_SECONDS}

    async def ring(self, doorbell: Doorbell) -> None:
        """Send the hint; a broker that is away costs a log line, never the request."""
        try:
            await asyncio.to_thread(self._send, doorbell)
        except (OperationalError, OSError) as error:
            log.warning("broker out of reach, the janitor will ring for %s: %s", doorbell.id, error)

    def _send(self, doorbell: Doorbell) -> None:
        name, queue = f"stillhouse.{doorbell.kind}", _QUEUES[doorbell.kind]
        self._celery.send_task(name, args=[doorbell.id], queue=queue, retry=False)

    async def waiting(self, kind: Kind) -> int:
        """Return how many messages lie in the queue of a kind; 0 where the broker cannot say."""
        try:
            return await asyncio.to_thread(self._count, _QUEUES[kind])
        except (ChannelError, OperationalError, OSError):  # no such queue yet, or no broker
            return 0

    def _count(self, queue: str) -> int:
        with self._celery.connection_for_write() as connection:
            declared = connection.default_channel.queue_declare(queue, passive=True)
            return int(declared.message_count)

    async def reachable(self) -> str | None:
        """Return why the broker cannot be reached, or None."""
        try:
            await asyncio.to_thread(self._probe)
        except (OperationalError, OSError) as error:
            return str(error) or type(error).__name__
        return None

    def _probe(self) -> None:
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_BROKER_SECONDS)

    async def close(self) -> None:
        await asyncio.to_thread(self._celery.close)
