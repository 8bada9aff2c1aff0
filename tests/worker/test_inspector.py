"""Uploads are inspected by the real engine in its sandbox; whatever they do, the worker goes on."""

import asyncio
import json
from pathlib import Path

import pytest

from app.contract.architectures import Onnx
from app.contract.errors import InvalidRequest
from app.contract.registration import HuggingFace
from app.contract.states import BlockedBy, InspectionState, RejectionCode
from app.db.base import DEFAULT_TENANT
from app.db.tables import Dataset, Model
from app.inspections import service
from app.jobs import leases
from app.models import students
from app.settings import Settings
from tests.engine import hub_folders, onnx_models
from tests.engine.pictures import tarred
from tests.worker.conftest import House, samples
from worker import inspector, staging

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


async def inspect(house: House, stop: asyncio.Event | None = None, **limits: float) -> int:
    settings: Settings = house.settings.model_copy(update=limits)
    return await inspector.inspect(house.database, house.store, settings, stop or asyncio.Event())


async def verdict(house: House, table: type[Model] | type[Dataset], row_id: str) -> tuple[str, str]:
    row = await house.registered(table, row_id)
    problems = (row.inspection or {}).get("problems", [])
    return row.state, " ".join(problem["detail"] for problem in problems)


async def test_good_uploads_are_ready(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    job_id = await house.submit_on(teacher, data)
    assert await inspect(house) == 2
    assert await verdict(house, Model, teacher) == (InspectionState.READY, "")
    assert await verdict(house, Dataset, data) == (InspectionState.READY, "")
    assert (await house.registered(Model, teacher)).weights_sha256
    assert (await house.job(job_id)).blocked_by is None
    assert not list((house.settings.data / "inspections").iterdir())


async def test_an_onnx_model_is_run_in_the_sandbox_and_staged_under_its_own_name(house: House) -> None:
    content = onnx_models.model().SerializeToString()
    teacher, data = await house.model(content, architecture=Onnx(classes=3)), await house.dataset()
    job_id = await house.submit_on(teacher, data)
    assert await inspect(house) == 2
    assert await verdict(house, Model, teacher) == (InspectionState.READY, "")
    found = (await house.registered(Model, teacher)).inspection
    assert (found["format"], found["parameters"], found["onnx"]["input"]["shape"]) == ("onnx", 18, ["batch", 6])
    async with house.database.transaction() as session:
        lease = await leases.claim(session, "test", 60)
        assert lease
        assert lease.job_id == job_id
        assert (await staging.job_file(session, lease, 1, house.settings)).teachers[0].path == "inputs/teacher-1.onnx"


async def test_a_hugging_face_folder_becomes_a_network_with_its_tokenizer(house: House, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "folder.tar.gz", hub_folders.folder(), "w:gz")
    teacher = await house.model(archive.read_bytes(), architecture=HuggingFace(max_tokens=20))
    rows = "\n".join(json.dumps({"text": f"a film {number}", "label": number % 2}) for number in range(40))
    data = await house.dataset(rows.encode(), format={"kind": "text"})
    student = {"architecture": {"kind": "textcnn", "vocabulary": 120, "classes": 2}}
    job_id = await house.submit_on(teacher, data, student=student)  # though nothing is known of its teacher yet
    assert (await house.job(job_id)).blocked_by == BlockedBy.INSPECTION
    assert await inspect(house) == 2
    assert await verdict(house, Model, teacher) == (InspectionState.READY, "")
    row = await house.registered(Model, teacher)
    assert (row.architecture["kind"], row.class_names, row.preprocessing["max_tokens"]) == (
        "transformers", ["bad", "good"], 20,
    )  # fmt: skip
    assert (await house.job(job_id)).blocked_by is None
    async with house.database.transaction() as session:
        lease = await leases.claim(session, "test", 60)
        assert lease
        job = await staging.job_file(session, lease, 1, house.settings)
    assert job.teachers[0].architecture.embeds() == 120
    assert job.student.preprocessing == job.teachers[0].preprocessing


async def test_a_job_that_does_not_suit_its_folder_fails_when_that_is_known(house: House, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "folder.tar", hub_folders.folder())
    teacher, data = await house.model(archive.read_bytes(), architecture=HuggingFace()), await house.dataset()
    job_id = await house.submit_on(teacher, data)
    with pytest.raises(InvalidRequest, match="will be known after the inspection"):
        async with house.database.transaction() as session:
            await students.register(session, DEFAULT_TENANT, job_id, None)
    await inspect(house)
    failure = (await house.job(job_id)).failure_detail
    assert "takes text or words samples, and these are array" in failure


async def test_nonsense_is_rejected_with_a_reason(house: House) -> None:
    teacher = await house.model(b"\x80\x04nonsense")
    await inspect(house)
    state, why = await verdict(house, Model, teacher)
    assert state == InspectionState.REJECTED
    assert why
    assert (await house.registered(Model, teacher)).inspection["code"] == RejectionCode.INVALID_UPLOAD


async def test_one_that_is_larger_than_the_service_takes_is_rejected(house: House) -> None:
    teacher = await house.model()
    await inspect(house, max_parameters=100)
    told = "The network has 123 parameters; this service takes up to 100."
    assert await verdict(house, Model, teacher) == (InspectionState.REJECTED, told)


async def test_one_that_takes_too_long_is_rejected_and_the_next_is_not(house: House) -> None:
    slow = await house.dataset()
    assert await inspect(house, inspection_seconds=0.2) == 1
    assert await verdict(house, Dataset, slow) == (
        InspectionState.REJECTED,
        "the inspection of this file did not end well: it took longer than 0.2 seconds",
    )
    assert (await house.registered(Dataset, slow)).inspection["code"] == RejectionCode.INSPECTION_FAILED
    good = await house.dataset(samples())
    assert await inspect(house) == 1
    assert (await verdict(house, Dataset, good))[0] == InspectionState.READY


async def test_a_lost_worker_costs_an_attempt_and_the_last_one_the_upload(house: House) -> None:
    teacher = await house.model()
    for _ in range(service.ATTEMPTS):
        async with house.database.transaction() as session:
            assert await service.claim(session, -1)
    await inspect(house)
    assert await verdict(house, Model, teacher) == (
        InspectionState.REJECTED,
        "the inspection of this file did not end well: the worker was lost in each of 3 attempts",
    )


async def test_a_stopping_worker_leaves_the_inspection_to_another(house: House) -> None:
    teacher = await house.model()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    await inspect(house, stop)
    row = await house.registered(Model, teacher)
    assert (row.state, row.attempt) == (InspectionState.UPLOADED, 0)


async def test_a_stale_finding_is_refused(house: House) -> None:
    teacher = await house.model()
    async with house.database.transaction() as session:
        stale = await service.claim(session, -1)
    async with house.database.transaction() as session:
        current = await service.claim(session, 60)
    assert stale
    assert current
    async with house.database.transaction() as session:
        assert not await service.renew(session, stale, 60)
        assert not await service.abandon(session, stale, "late", RejectionCode.INSPECTION_FAILED)
        await service.give_back(session, stale)
    row = await house.registered(Model, teacher)
    assert (row.state, row.attempt) == (InspectionState.INSPECTING, current.attempt)
