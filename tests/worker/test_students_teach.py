"""A student's file says how it reads, so its file alone can teach: jobs and inspections by the real engine."""

import asyncio
import json

import pytest
import torch
from safetensors.torch import save

from app.contract.architectures import Lstm
from app.contract.preprocessing import Words
from app.contract.states import JobState
from app.db.tables import Model
from tests.worker.conftest import House
from worker import inspector, supervisor
from worker.devices import Host
from worker.engine import build

pytestmark = pytest.mark.anyio
NETWORK = Lstm(inputs=3, hidden=3, classes=2, vocabulary=9)
TEXTS = [("a good film", 1), ("a bad film", 0), ("good music", 1), ("bad story", 0)] * 3
VOCABULARY = ("<pad>", "<unk>", "a", "good", "bad", "film")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


async def work(house: House) -> None:
    """Inspect what is due, then run the next job."""
    stop = asyncio.Event()
    await inspector.inspect(house.database, house.store, house.settings, stop)
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", stop)


async def test_a_student_that_learnt_its_vocabulary_teaches_by_its_file_alone(house: House) -> None:
    torch.manual_seed(0)
    weights = save(build.network(NETWORK).state_dict())
    teacher = await house.model(weights, architecture=NETWORK, preprocessing=Words(vocabulary=VOCABULARY))
    rows = "\n".join(json.dumps({"text": text, "label": label}) for text, label in TEXTS)
    data = await house.dataset(rows.encode(), format={"kind": "text"})
    student = {"architecture": NETWORK.model_dump(), "preprocessing": {"kind": "words"}}
    training = {"epochs": 1, "batch_size": 4}
    first = await house.submit_on(teacher, data, student=student, training=training)
    await work(house)
    made = (await house.artifacts(first))["student"]
    content = b"".join([chunk async for chunk in house.store.stream(made.sha256)])
    assistant = await house.model(content, architecture=NETWORK)
    second = await house.submit_on(
        assistant, data, student={"architecture": student["architecture"]}, training=training
    )
    await work(house)
    assert ((await house.job(second)).state, (await house.job(second)).failure_detail) == (JobState.SUCCEEDED, None)
    found = (await house.registered(Model, assistant)).inspection
    assert set(found["preprocessing"]["vocabulary"]) >= {"music", "story"}
    lock = await house.json(second, "lock")
    assert lock["job"]["teachers"][0]["preprocessing"] == found["preprocessing"]
