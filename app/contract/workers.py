"""Workers, as the service shows them."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.contract.resources import Resource

Running = Literal["finish", "checkpoint"]


class Role(StrEnum):
    """What a worker is for."""

    DISTILL = "distill"
    """It takes distillation jobs."""
    HOUSEKEEPING = "housekeeping"
    """It inspects uploads, sends to webhooks, and sweeps up."""


class WorkerState(StrEnum):
    """How a worker stands."""

    READY = "ready"
    """It takes work."""
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


class DeviceUse(BaseModel):
    """How a GPU is used, by whatever program, when its driver was last asked."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    device: str
    """As in `devices`."""
    gpu: str
    """The driver's number of it on its host."""
    name: str
    memory_used: int | None
    """Bytes; null where the driver does not tell."""
    memory_total: int | None
    utilization: float | None
    """Share of the last moment, at most a second, in which anything ran on it: 0 to 1."""


class Worker(Resource):
    """A process that does the service's work."""

    id: str
    role: Role
    name: str
    """As in its log, and in the events of its jobs."""
    state: WorkerState
    devices: list[str]
    """`cuda:0` and so on; `cpu` on a host without CUDA; empty where it needs none."""
    device_use: list[DeviceUse]
    """Of those that tell: not of parts of a GPU (MIG), nor without the driver's `nvidia-smi`."""
    sandbox: list[str]
    """The layers of the sandbox that it puts around uploads; SECURITY.md says what each of them holds."""
    slots: int
    """Jobs, or inspections, that it does at once."""
    jobs: list[str]
    """The ids of those that it is at."""
    started_at: datetime
    seen_at: datetime
