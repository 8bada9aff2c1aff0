"""Memory that runs out in the real engine: smaller micro-batches, the same student."""

import asyncio

import pytest
from safetensors.torch import load
from torch import allclose

from app.contract.states import JobState
from tests.faults.house import FaultHouse
from worker import supervisor
from worker.devices import Host

pytestmark = pytest.mark.anyio


async def distill(house: FaultHouse) -> None:
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())


@pytest.mark.fault(23)
async def test_micro_batches_are_halved_until_they_fit(house: FaultHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    roomy, cramped = [await house.submit_on(teacher, data) for _ in range(2)]
    await distill(house)
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.cramped")
    await distill(house)
    job = await house.job(cramped)
    assert (job.state, job.attempt, job.losses, job.halvings) == (JobState.SUCCEEDED, 1, 0, 2)
    events = await house.events(cramped)
    told = [event.data["text"] for event in events if event.type == "notice"]
    memory = [text.split(" micro-batches")[0] for text in told if text.startswith("Memory")]
    assert memory == [f"Memory ran out: each batch is cut into {parts}" for parts in (2, 4)]
    assert [event.data["step"] for event in events if event.type == "resumed"] == [6, 12]
    students = [load(await content(house, job_id)) for job_id in (roomy, cramped)]
    assert all(allclose(students[0][name], students[1][name], atol=1e-5) for name in students[0])


@pytest.mark.fault(23)
async def test_micro_batches_are_halved_no_further_than_to_a_sample(
    house: FaultHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.memoryless")
    [job_id] = await house.submit(training={"batch_size": 2})
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.halvings) == (JobState.FAILED, "out_of_memory", 2)
    assert job.failure_detail
    assert "a micro-batch is a single sample already" in job.failure_detail


async def content(house: FaultHouse, job_id: str) -> bytes:
    student = (await house.artifacts(job_id))["student"]
    return b"".join([chunk async for chunk in house.store.stream(student.sha256)])
