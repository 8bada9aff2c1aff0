"""Jobs for the worker's tests: real weights and data in the store, and rows made through the services."""

import io
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.architectures import Mlp
from app.contract.inspection import DatasetInspection, ModelInspection, Tensor
from app.contract.resources import DatasetCreate, ModelCreate
from app.contract.spec import JobSpec
from app.contract.states import TERMINAL
from app.datasets import service as datasets
from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.db.tables import Artifact, Dataset, Job, JobEvent, Model
from app.files import service as files
from app.inspections import service as inspections
from app.jobs import service as jobs
from app.jobs import wishes
from app.jobs.repository import JobRepository
from app.models import service as models
from app.settings import Settings
from app.store import Store
from tests.worker.streams import once
from worker.engine.networks.blueprint import shapes

TEACHER = Mlp(inputs=6, hidden=(12,), classes=3)
SAMPLES = 120


def weights() -> bytes:
    """Return a teacher's weights as safetensors."""
    draw = np.random.default_rng(3)
    return save({name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes(TEACHER).items()})


def samples() -> bytes:
    """Return a transfer set as npz."""
    draw, file = np.random.default_rng(4), io.BytesIO()
    labels = draw.integers(0, 3, SAMPLES)
    np.savez(file, inputs=draw.normal(size=(SAMPLES, 6)).astype(np.float32) + labels[:, None], labels=labels)
    return file.getvalue()


@dataclass
class House:
    """The service behind the API: what a user's requests would do, done directly."""

    settings: Settings
    database: Database
    store: Store
    tenant: str = DEFAULT_TENANT

    async def model(self, content: bytes | None = None, **more: Any) -> str:
        """Upload and register a teacher; it is not inspected yet."""
        async with self.database.transaction() as session:
            file = await files.register(session, self.tenant, "teacher", await self._put(content or weights()))
            request = ModelCreate(**{"file": file.id, "architecture": TEACHER, **more})
            return (await models.register(session, self.tenant, request, max_parameters=10**9)).id

    async def dataset(self, content: bytes | None = None, **more: Any) -> str:
        """Upload and register a transfer set; it is not inspected yet."""
        async with self.database.transaction() as session:
            file = await files.register(session, self.tenant, "data.npz", await self._put(content or samples()))
            return (await datasets.register(session, self.tenant, DatasetCreate(file=file.id, **more))).id

    async def _put(self, content: bytes) -> Any:
        return await self.store.put(once(content), limit=2**30)

    async def pass_inspections(self) -> None:
        """Call everything ready that waits for an inspection, with the finding that these files get."""
        async with self.database.transaction() as session:
            while claimed := await inspections.claim(session, 60):
                found = _MODEL if isinstance(claimed.subject, Model) else _DATASET
                await inspections.finish(session, claimed, found)

    async def submit(self, count: int = 1, *, training: dict[str, Any] | None = None, **spec: Any) -> list[str]:
        """Queue jobs on one teacher and one transfer set, both ready."""
        teacher, data = await self.model(), await self.dataset()
        await self.pass_inspections()
        return [await self.submit_on(teacher, data, training=training, seed=seed, **spec) for seed in range(count)]

    async def submit_on(self, teacher: str | dict[str, Any], data: str, **spec: Any) -> str:
        training = {"epochs": 3, "batch_size": 20, "checkpoint_seconds": 0, **(spec.pop("training", None) or {})}
        student = {"architecture": {"kind": "mlp", "inputs": 6, "hidden": [4], "classes": 3}}
        document = {"teacher": teacher, "transfer_set": data, "student": student, "training": training,
                    "control": False, "export": {"plots": False}, **spec}  # fmt: skip
        async with self.database.transaction() as session:
            job = await jobs.submit(session, self.tenant, JobSpec.model_validate(document), max_parameters=10**9)
            return job.id

    async def cancel(self, job_id: str) -> None:
        await self._ask(wishes.cancel, job_id)

    async def pause(self, job_id: str) -> None:
        await self._ask(wishes.pause, job_id)

    async def resume(self, job_id: str) -> None:
        await self._ask(wishes.resume, job_id)

    async def retry(self, job_id: str) -> str:
        async with self.database.transaction() as session:
            return (await jobs.retry(session, self.tenant, job_id, max_parameters=10**9)).id

    async def _ask(self, wish: Callable[[AsyncSession, str, str], Awaitable[Job]], job_id: str) -> None:
        async with self.database.transaction() as session:
            await wish(session, self.tenant, job_id)

    async def job(self, job_id: str) -> Job:
        async with self.database.reading() as session:
            return await session.get_one(Job, job_id)

    async def is_over(self, job_id: str) -> bool:
        return (await self.job(job_id)).state in TERMINAL

    async def registered(self, table: type[Model] | type[Dataset], row_id: str) -> Model | Dataset:
        async with self.database.reading() as session:
            return await session.get_one(table, row_id)

    async def events(self, job_id: str) -> list[JobEvent]:
        async with self.database.reading() as session:
            return await JobRepository(session).events(self.tenant, job_id, 0, 10_000)

    async def log(self, job_id: str) -> str:
        async with self.database.reading() as session:
            return "".join(piece.text for piece in await JobRepository(session).logs(self.tenant, job_id))

    async def json(self, job_id: str, kind: str) -> Any:
        """Return a published document."""
        artifact = (await self.artifacts(job_id))[kind]
        return json.loads(b"".join([chunk async for chunk in self.store.stream(artifact.sha256)]))

    async def artifacts(self, job_id: str) -> dict[str, Artifact]:
        async with self.database.reading() as session:
            rows: Sequence[Artifact] = await JobRepository(session).artifacts(self.tenant, job_id)
        assert len({row.name for row in rows}) == len(rows), "a result was published twice"
        return {row.kind: row for row in rows}


_MODEL = ModelInspection(format="safetensors", parameters=TEACHER.size())
_DATASET = DatasetInspection(
    format="npz",
    rows=SAMPLES,
    inputs=Tensor(name="inputs", shape=(SAMPLES, 6), dtype="float32"),
    labels=Tensor(name="labels", shape=(SAMPLES,), dtype="int64"),
    labelled=SAMPLES,
    classes=3,
    splits={"train": SAMPLES - 12, "validation": 12},
    labelled_splits={"train": SAMPLES - 12, "validation": 12},
)


@pytest.fixture
def house(settings: Settings, database: Database, store: Store) -> House:
    return House(settings, database, store)
