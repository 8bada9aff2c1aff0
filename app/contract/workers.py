"""Workers, as the service shows them."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.contract.resources import Resource

Running = Literal["finish", "checkpoint"]


class WorkerState(StrEnum):
    """How a worker stands."""

    READY = "ready"
    """It takes jobs."""
    DRAINING = "draining"
    """It takes no more, and has some left."""
    DRAINED = "drained"
    """It has none left, and can be stopped."""
    LOST = "lost"
    """It has not been heard of for longer than a lease lasts; its jobs go to others."""


class WorkerDrain(BaseModel):
    """How a worker is emptied."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    running: Running = "finish"
    """What becomes of the jobs that it is at: `finish` lets them come to their end; `checkpoint` has them write one and
    go back to the queue, for other workers."""


class Worker(Resource):
    """A process that takes distillation jobs."""

    id: str
    name: str
    """As in its log, and in the events of its jobs."""
    state: WorkerState
    devices: list[str]
    """`cuda:0` and so on; `cpu` on a host without CUDA."""
    slots: int
    """Jobs that it runs at once."""
    jobs: list[str]
    """The ids of those that it is at."""
    started_at: datetime
    seen_at: datetime
