"""What retention removes, that it is what the dry run says, and what it leaves alone."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.checkpoints import service as checkpoints
from app.contract.errors import Conflict
from app.contract.resources import FileChange, JobChange, RegisteredChange
from app.contract.retention import Removal
from app.contract.states import FailureCode, JobState, StopReason
from app.datasets.repository import DatasetRepository
from app.db.base import DEFAULT_TENANT, Base, db_now
from app.db.tables import Artifact, Checkpoint, Dataset, File, Job, JobEvent, Model
from app.files import orphans
from app.files import service as files
from app.jobs import leases
from app.jobs import service as jobs
from app.jobs.leases import Lease
from app.models.repository import ModelRepository
from app.registry import service as registry
from app.retention import service as retention
from app.retention.repository import rules
from app.store import Area, Blob, BlobMissing, Store
from app.uploads import service as uploads
from tests.worker.conftest import House
from tests.worker.streams import once
from tests.worker.test_claims import claim
from worker import errands

pytestmark = pytest.mark.anyio
DAY = 24 * 3600.0


@pytest.fixture
def house(house: House) -> House:
    house.settings = house.settings.model_copy(update={"keep_jobs_seconds": DAY, "keep_unused_seconds": DAY})
    return house


async def finish(house: House, lease: Lease, content: bytes = b"student") -> None:
    blob = await house.store.put(once(content), limit=100)
    row = leases.artifact(lease, "log", "log.txt", blob.size, blob.sha256, "text/plain")
    async with house.database.transaction() as session:
        await leases.advance(session, lease, JobState.RUNNING)
        await leases.advance(session, lease, JobState.FINALIZING)
        await leases.finish(session, lease, StopReason.COMPLETED, [row])


async def done(house: House, *job_ids: str) -> None:
    for job_id in job_ids:
        lease = await claim(house)
        assert lease.job_id == job_id
        await finish(house, lease)


async def fail(house: House) -> None:
    """Let the next job fail, with a checkpoint in the store."""
    lease = await claim(house)
    async with house.database.transaction() as session:
        await checkpoints.keep(session, lease, "cache/student.safetensors", Blob("a" * 64, 7))
        await leases.fail(session, lease, FailureCode.INTERNAL_ERROR, "as told")


async def age(house: House, *tables: type[Base], seconds: float = 2 * DAY) -> None:
    """Make all rows of these tables older."""
    async with house.database.transaction() as session:
        for table in tables:
            for name in ("created_at", "finished_at", "used_at"):
                column = getattr(table, name, None)
                if column is not None:
                    await session.execute(update(table).where(column.is_not(None)).values({name: db_now(-seconds)}))


async def due(house: House) -> dict[str, Removal]:
    async with house.database.reading() as session:
        return {found.kind: found for found in await retention.due(session, house.settings, DEFAULT_TENANT)}


async def ids(house: House, table: Any) -> set[str]:
    async with house.database.reading() as session:
        return set(await session.scalars(select(table.id)))


async def count(house: House, table: Any) -> int:
    async with house.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def removed(house: House) -> dict[str, int]:
    swept = await errands.sweep_up(house.settings)
    return {name.removeprefix("retention of "): number for name, number in swept.items() if "retention" in name}


async def pin(house: House, *, job: str = "", model: str = "", dataset: str = "", file: str = "") -> None:
    async with house.database.transaction() as session:
        if job:
            await jobs.change(session, DEFAULT_TENANT, job, JobChange(pinned=True), None)
        if model:
            await registry.change(ModelRepository(session), DEFAULT_TENANT, model, RegisteredChange(pinned=True), None)
        if dataset:
            await registry.change(
                DatasetRepository(session), DEFAULT_TENANT, dataset, RegisteredChange(pinned=True), None
            )
        if file:
            await files.change(session, DEFAULT_TENANT, file, FileChange(pinned=True))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_by_default_everything_is_kept(house: House) -> None:
    house.settings = house.settings.model_copy(update={"keep_jobs_seconds": 0, "keep_unused_seconds": 0})
    [job_id] = await house.submit()
    await done(house, job_id)
    await age(house, Job, Model, Dataset, File)
    assert await removed(house) == {"checkpoints": 0, "soft_targets": 0, "webhook_deliveries": 0}
    assert await ids(house, Job) == {job_id}


async def test_a_pass_removes_what_the_dry_run_names_and_no_more(house: House) -> None:
    old, pinned, live = await house.submit(3)
    spare = await house.model()
    await done(house, old, pinned)
    await pin(house, job=pinned)
    await age(house, Job, Model, Dataset, File)
    found = await due(house)
    assert {kind: (of.count, of.first) for kind, of in found.items() if of.count} == {
        "jobs": (1, [old]), "models": (1, [spare]),
    }  # fmt: skip
    assert found["jobs"].bytes == len(b"student")
    assert await removed(house) == {kind: of.count for kind, of in found.items()}
    assert await ids(house, Job) == {pinned, live}
    assert await count(house, Artifact) == 1
    assert not await house.events(old)
    assert spare not in await ids(house, Model)
    assert not any(of.count for of in (await due(house)).values())


async def test_what_was_used_until_now_is_kept_a_while_longer(house: House) -> None:
    """A job goes, then, as long after it, what it named, then their files: never all at once."""
    [job_id] = await house.submit()
    await done(house, job_id)
    seen = []
    for _ in range(3):
        await age(house, Job, Model, Dataset, File)
        found = {kind: of.count for kind, of in (await due(house)).items()}
        assert await removed(house) == found
        seen.append({kind for kind, number in found.items() if number})
    assert seen == [{"jobs"}, {"models", "datasets"}, {"files"}]
    assert await count(house, File) == 0


async def test_pins_keep_what_nothing_uses(house: House) -> None:
    pinned, other = await house.model(), await house.model()
    kept, gone = await house.dataset(), await house.dataset()
    await pin(house, model=pinned, dataset=kept)
    await age(house, Model, Dataset)
    await removed(house)
    assert (await ids(house, Model), await ids(house, Dataset)) == ({pinned}, {kept})
    assert {other, gone}.isdisjoint({pinned, kept})
    of_gone = await free_files(house)
    await pin(house, file=of_gone[0])
    await age(house, File)
    await removed(house)
    assert await free_files(house) == [of_gone[0]]


async def free_files(house: House) -> list[str]:
    """Return the files that nothing is made from."""
    async with house.database.reading() as session:
        used = {*await session.scalars(select(Model.file_id)), *await session.scalars(select(Dataset.file_id))}
        return [file_id for file_id in await session.scalars(select(File.id).order_by(File.id)) if file_id not in used]


async def test_what_live_jobs_need_is_kept(house: House) -> None:
    """A queued job, a retry that waits for its turn: also what they are made from stays."""
    failed, paused = await house.submit(2, max_attempts=1)
    await fail(house)
    again = await house.retry(failed)
    await house.pause(paused)
    await age(house, Job, Model, Dataset, File)
    assert not any((await removed(house)).values())
    assert await ids(house, Job) == {failed, again, paused}
    assert await count(house, Checkpoint) == 1  # the retry's by now


async def test_checkpoints_of_what_failed_go_unless_it_is_pinned(house: House) -> None:
    job_ids = await house.submit(2, max_attempts=1)
    for _ in job_ids:
        await fail(house)
    await pin(house, job=job_ids[0])
    house.settings = house.settings.model_copy(update={"failed_seconds": 0, "keep_jobs_seconds": 0})
    found = (await due(house))["checkpoints"]
    assert (found.count, found.bytes, found.first) == (1, 7, [job_ids[1]])
    assert (await removed(house))["checkpoints"] == 1
    async with house.database.reading() as session:
        assert list(await session.scalars(select(Checkpoint.job_id))) == [job_ids[0]]


async def test_deleting_a_job_takes_all_of_it_along(house: House) -> None:
    [job_id] = await house.submit(max_attempts=1)
    await fail(house)
    async with house.database.transaction() as session:
        await jobs.delete(session, DEFAULT_TENANT, job_id)
    assert [await count(house, table) for table in (Job, JobEvent, Artifact, Checkpoint)] == [0, 0, 0, 0]


async def test_a_model_that_jobs_name_is_not_deleted_and_they_are_told(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    named = [await house.submit_on(teacher, data) for _ in range(2)]
    for repository, row_id in ((ModelRepository, teacher), (DatasetRepository, data)):
        async with house.database.reading() as session:
            with pytest.raises(Conflict) as refusal:
                await registry.delete(repository(session), DEFAULT_TENANT, row_id)
        assert [problem.detail for problem in refusal.value.errors] == named


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_many_go_in_several_transactions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_AT_ONCE", 2)
    for _ in range(5):
        await house.model()
    await age(house, Model)
    [rule] = [rule for rule in rules(house.settings) if rule.kind == "models"]
    assert await retention.remove(house.database, rule) == 5


# Stored bytes.


async def put(store: Store, content: bytes = b"bytes") -> Blob:
    return await store.put(once(content), limit=100)


async def names(store: Store, area: Area) -> list[str]:
    return [stored.name async for batch in store.listed(area) for stored in batch]


async def read(store: Store, sha256: str) -> bytes:
    return b"".join([chunk async for chunk in store.stream(sha256)])


async def sweep(house: House) -> Sequence[int]:
    """Sweep as if all bytes were old; return how many of each kind were due, and how many went."""
    found = await orphans.due(house.database, house.store, -DAY)
    return [*(of.count for of in found), await orphans.sweep(house.database, house.store, -DAY)]


async def register(house: House, blob: Blob) -> str:
    async with house.database.transaction() as session:
        return (await files.register(session, DEFAULT_TENANT, "a file", blob)).id


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_orphans_are_set_aside_and_removed_later(house: House) -> None:
    needed, orphan = await put(house.store, b"needed"), await put(house.store, b"orphan")
    await register(house, needed)
    assert await orphans.sweep(house.database, house.store, DAY) == 0
    assert await sweep(house) == [0, 1, 0, 1]
    assert (await names(house.store, Area.BLOBS), await names(house.store, Area.ASIDE)) == (
        [needed.sha256], [orphan.sha256],
    )  # fmt: skip
    assert await orphans.sweep(house.database, house.store, DAY) == 0  # not before it has lain there as long
    assert await sweep(house) == [1, 0, 0, 1]
    assert await names(house.store, Area.ASIDE) == []
    with pytest.raises(BlobMissing):
        await read(house.store, orphan.sha256)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("read_first", [True, False])
async def test_bytes_that_come_again_while_they_are_swept_are_not_lost(house: House, *, read_first: bool) -> None:
    """The sweep found them unneeded; the upload's bytes came then, were set aside, and its row came last."""
    blob = await put(house.store)
    await house.store.set_aside(blob.sha256)
    await register(house, blob)
    if read_first:
        assert await read(house.store, blob.sha256) == b"bytes"
    assert await sweep(house) == [0, 0, 0, 0]
    assert (await names(house.store, Area.BLOBS), await names(house.store, Area.ASIDE)) == ([blob.sha256], [])
    assert await read(house.store, blob.sha256) == b"bytes"


async def test_an_upload_that_is_a_file_at_once_keeps_its_bytes(house: House) -> None:
    """The only row that refers to them is deleted after a second one was made of the announced hash."""
    blob = await put(house.store)
    first = await register(house, blob)
    async with house.database.transaction() as session:
        announced = uploads.Announced("again", blob.size, blob.sha256, None)
        second = (await uploads.declare(session, DEFAULT_TENANT, announced, 60)).file_id
        assert second
    for file_id, left in ((first, [blob.sha256]), (second, [])):
        async with house.database.transaction() as session:
            await files.delete(session, DEFAULT_TENANT, file_id)
        await sweep(house)
        assert await names(house.store, Area.BLOBS) == left
