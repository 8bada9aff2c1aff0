"""A job's life through the real service, as a user of the client leads it."""

from typing import Any

import numpy as np
import pytest
import torch

from stillhouse import Stillhouse
from stillhouse.embedded import EmbeddedStack
from stillhouse.waiting import wait_until

pytestmark = pytest.mark.xdist_group("stack")
MLP = {"kind": "mlp", "inputs": 4, "hidden": [3], "classes": 3}


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Any:
    with Stillhouse(stack.url) as client:
        yield client


@pytest.fixture(scope="module")
def made(client: Stillhouse) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    data = client.datasets.create({"inputs": draw.normal(size=(60, 4)).astype(np.float32)})
    weights = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3))
    teacher = client.models.create(weights, architecture=MLP)
    return {"teacher": teacher.id, "student": {"architecture": MLP}, "transfer_set": data.id, "control": False}


def test_a_paused_job_lets_others_by_and_goes_on(client: Stillhouse, made: dict[str, Any]) -> None:
    job = client.jobs.create(**made, training={"epochs": 100_000})
    wait_until(job.refresh, lambda job: job.resource.progress > 0, 60, "the training")
    assert job.pause().state == "pausing"
    wait_until(job.refresh, lambda job: job.state == "paused", 60, "the pause")
    reached = job.resource.progress
    assert client.jobs.create(**made, training={"epochs": 3}).wait().state == "succeeded"
    assert job.resume().state == "queued"
    wait_until(job.refresh, lambda job: job.resource.progress > reached, 60, "more training")
    assert job.resource.attempt == 2
    job.cancel()
    assert "resumed" in {event.type for event in job.events()}


def test_time_that_is_up_ends_a_job_well(client: Stillhouse, made: dict[str, Any]) -> None:
    job = client.jobs.create(**made, training={"epochs": 100_000}, max_runtime=0.5).wait()
    assert job.resource.stop_reason == "max_runtime"
    assert job.report.student.agreement > 0


def test_a_cancelled_job_is_tried_again(client: Stillhouse, made: dict[str, Any]) -> None:
    job = client.jobs.create(**made, training={"epochs": 3}).pause().cancel()
    wait_until(job.refresh, lambda job: job.finished, 60, "the end")  # a worker may have taken it before the pause
    assert job.retry().id == job.retry().id
    assert job.retry().wait().resource.retry_of == job.id


def test_the_workers_are_there(client: Stillhouse) -> None:
    distill, housekeeping = sorted(client.workers.list(), key=lambda one: one.role)
    assert (distill.role, distill.state, distill.slots, len(distill.devices)) == ("distill", "ready", 1, 1)
    assert (housekeeping.role, housekeeping.state, housekeeping.devices) == ("housekeeping", "ready", [])
