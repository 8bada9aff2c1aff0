"""/v1/workers: who does the work, and how to empty one."""

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.dependencies import AdminOnly, CallerDep, Reading, SettingsDep, Writing
from app.api.parameters import WorkerId
from app.api.responses import errors
from app.contract.accounts import Scope
from app.contract.resources import Page
from app.contract.workers import Worker, WorkerDrain
from app.workers import service

router = APIRouter(prefix="/workers", tags=["workers"])
_DRAIN = {
    "finish": {"summary": "Let its jobs come to their end", "value": {"running": "finish"}},
    "checkpoint": {"summary": "Give its jobs to others, from a checkpoint", "value": {"running": "checkpoint"}},
}
_FINISH = WorkerDrain()


@router.get("", summary="List workers", responses=errors())
async def list_workers(session: Reading, settings: SettingsDep, caller: CallerDep) -> Page[Worker]:
    """Who is there, in which role, on which devices, and at which of your jobs; with `admin` at everybody's.

    One that was killed is `lost`, and forgotten after a day.
    """
    seen = None if Scope.ADMIN in caller.scopes else caller.tenant
    return Page(data=await service.listed(session, settings.lease_seconds, seen), has_more=False, next_cursor=None)


@router.post(
    "/{worker_id}/drain",
    status_code=202,
    summary="Drain a worker",
    responses=errors(400, 404, 409, 413, 422),
    dependencies=[AdminOnly],
)
async def drain_worker(
    worker_id: WorkerId,
    session: Writing,
    settings: SettingsDep,
    wanted: Annotated[WorkerDrain, Body(openapi_examples=_DRAIN)] = _FINISH,
) -> Worker:
    """Have a worker take no more jobs, within seconds: before its host is shut down, for example.

    It is `drained` once it has none left, and stays so until it is undrained, or stopped and started again. Safe to
    repeat: `checkpoint` after `finish` has it give back what it is still at. 409 where the worker is lost, or takes no
    jobs anyway.
    """
    return await service.drain(session, worker_id, wanted.running, settings.lease_seconds)


@router.post(
    "/{worker_id}/undrain",
    status_code=202,
    summary="Undrain a worker",
    responses=errors(404, 409),
    dependencies=[AdminOnly],
)
async def undrain_worker(worker_id: WorkerId, session: Writing, settings: SettingsDep) -> Worker:
    """Have a worker that was drained take jobs again, within seconds. Safe to repeat.

    Jobs that it was told to give back are given back all the same. 409 where the worker is lost, or takes no jobs
    anyway.
    """
    return await service.undrain(session, worker_id, settings.lease_seconds)
