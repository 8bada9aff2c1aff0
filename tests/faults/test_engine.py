"""Uploads and trainings that go wrong in the real engine; the worker lives whatever they do."""

import asyncio
import io
import os
import signal
from functools import partial

import numpy as np
import pytest

from app.contract.states import FailureCode, InspectionState, JobState
from app.db.tables import Model
from tests.faults import oracle
from tests.faults.house import FaultHouse, worker
from tests.servers import wait_until
from tests.worker.waiting import eventually
from worker import inspector, supervisor
from worker.devices import Host
from worker.folders import inspection_folder

pytestmark = pytest.mark.anyio


async def inspected(house: FaultHouse, model_id: str) -> bool:
    return (await house.registered(Model, model_id)).state in {InspectionState.READY, InspectionState.REJECTED}


async def verdict(house: FaultHouse, model_id: str) -> tuple[str, str]:
    row = await house.registered(Model, model_id)
    return row.state, " ".join(problem["detail"] for problem in (row.inspection or {}).get("problems", []))


def inspecting(house: FaultHouse, model_id: str) -> list[int]:
    """Return the child that inspects a model, if it runs."""
    folder = inspection_folder(house.settings, model_id, attempt=1)
    return [pid for pid in oracle.processes_of(house.settings.data) if oracle.works_in(pid, folder)]


@pytest.mark.fault(21)
async def test_weights_that_crash_the_loader_do_not_crash_the_worker(house: FaultHouse) -> None:
    """Killed as the kernel does where memory runs out; the next upload is inspected by the same worker."""
    bad, data = await house.model(), await house.dataset()
    job_id = await house.submit_on(bad, data)
    with worker(house.settings, "housekeeping") as running:
        before = running.slots()
        wait_until(lambda: bool(inspecting(house, bad)), what="the inspection")
        os.kill(inspecting(house, bad)[0], signal.SIGKILL)
        await eventually(partial(inspected, house, bad), what="the verdict")
        good = await house.model()
        await eventually(partial(inspected, house, good), what="the next verdict")
        assert running.slots() == before
    state, why = await verdict(house, bad)
    assert state == InspectionState.REJECTED
    assert "did not end well: it was killed by SIGKILL" in why
    assert (await verdict(house, good))[0] == InspectionState.READY
    job = await house.job(job_id)
    assert (job.state, job.failure_code) == (JobState.FAILED, FailureCode.INVALID_WEIGHTS)


@pytest.mark.fault(21)
async def test_weights_that_take_too_much_memory_are_rejected(house: FaultHouse) -> None:
    greedy = await house.model()
    limited = house.settings.model_copy(update={"inspection_memory_bytes": 150 * 2**20})
    await inspector.inspect(house.database, house.store, limited, asyncio.Event())
    state, why = await verdict(house, greedy)
    assert state == InspectionState.REJECTED
    assert "did not end well" in why


@pytest.mark.fault(22)
async def test_a_loss_that_is_not_finite_says_where(house: FaultHouse) -> None:
    file = io.BytesIO()
    np.savez(file, inputs=np.full((120, 6), 1e18, dtype=np.float32), labels=np.arange(120) % 3)
    teacher, data = await house.model(), await house.dataset(file.getvalue())
    await house.pass_inspections()
    training = {"optimizer": {"kind": "sgd", "learning_rate": 1e6}}
    job_id = await house.submit_on(teacher, data, training=training, objective=[{"kind": "logit_mse"}])
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())
    job = await house.job(job_id)
    assert (job.state, job.failure_code) == (JobState.FAILED, FailureCode.NON_FINITE_LOSS)
    assert job.failure_detail
    assert "step" in job.failure_detail
    assert "logit_mse" in job.failure_detail
