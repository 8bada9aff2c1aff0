"""What the doorbells ring for. A message's id is a hint: whoever comes takes whatever is due, and may find nothing."""

import asyncio
import os
from typing import Any

from app.settings import Settings
from worker import errands
from worker.celery_app import celery, drain, shutdown


@celery.task(name="stillhouse.distill", bind=True)  # type: ignore[untyped-decorator]
def distill(self: Any, _hint: str = "") -> None:
    """Run one job."""
    asyncio.run(errands.distill(Settings(), f"{self.request.hostname}/{os.getpid()}", shutdown, drain))


@celery.task(name="stillhouse.inspect")  # type: ignore[untyped-decorator]
def inspect(_hint: str = "") -> None:
    """Inspect uploads until none is left."""
    asyncio.run(errands.inspect(Settings(), shutdown))


@celery.task(name="stillhouse.deliver")  # type: ignore[untyped-decorator]
def deliver(_hint: str = "") -> None:
    """Send events to webhooks until none is due."""
    asyncio.run(errands.deliver(Settings(), shutdown))


@celery.task(name="stillhouse.sweep_up")  # type: ignore[untyped-decorator]
def sweep_up() -> None:
    """Do the janitor's work once."""
    asyncio.run(errands.sweep_up(Settings()))
