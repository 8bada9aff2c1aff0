"""How the processes of a job find one another, before anything of a user's is read.

Under `torchrun`, or started by a worker: either says by the environment who is who. The worker's processes then go
behind the walls of the sandbox, where no connection can be made any more; so all of them are made here, and used once.
"""

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure
from worker.engine.parallel.place import MEETING, Place, place
from worker.engine.parallel.ranks import Ranks
from worker.engine.stop import StopSignal

_PATIENCE = timedelta(minutes=15)
"""So long a process waits for another one. Nobody works that long alone, but whoever hangs."""


def join(stop: StopSignal) -> Ranks:
    """Return the processes of this job, after meeting them. Raises EngineFailure."""
    here = place()
    if here.local_size != here.size:
        raise EngineFailure(FailureCode.DEVICE_UNAVAILABLE, "The processes of a job must be on one host.")
    meet()
    return Ranks(stop, here.rank, here.size)


def meet() -> None:
    """Meet the other processes of the job, where there are any. Safe to repeat."""
    here = place()
    if here.size > 1 and not dist.is_initialized():
        _connect(here)


def _connect(here: Place) -> None:
    cuda = torch.cuda.device_count() >= here.size
    device = torch.device("cuda", here.local_rank) if cuda else None
    if device:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        init_method=os.environ.get(MEETING, "env://"),
        rank=here.rank,
        world_size=here.size,
        timeout=_PATIENCE,
        device_id=device,
    )
    for where in (torch.device("cpu"), *([device] if device else [])):
        dist.all_reduce(torch.zeros(1, device=where))
