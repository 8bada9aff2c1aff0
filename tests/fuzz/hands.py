"""A worker's hands: what workers would make of the samples, in no time."""

from collections.abc import AsyncIterator

from app.contract.events import Run, Step
from app.contract.inspection import DatasetInspection, ModelInspection, Tensor
from app.contract.job_file import InspectModel
from app.contract.report import Evaluated, Hardware, Report, Scores
from app.contract.states import JobState, StopReason
from app.db.session import Database
from app.inspections import service as inspections
from app.jobs import leases
from app.samples.service import JOB
from app.store import Store
from tests.openapi import TEACHER

PARTS = {"train": 120, "validation": 30, "test": 0}
SCORES = Scores(
    accuracy=0.9, agreement=0.9, kl_to_teacher=0.1, nll=0.3, ece=0.1, ece_scaled=0.1, scaling_temperature=1.5,
    parameters=35, bytes=140, flops=60, latency_ms=0.1,
)  # fmt: skip
REPORT = Report(
    evaluated_on=Evaluated(split="validation", samples=30, labelled=30, scaled_on="validation"),
    teacher=SCORES, student=SCORES, control=None, control_missing="nobody trained one", best_epoch=None,
    stop_reason=StopReason.COMPLETED, training_seconds={"student": 1.0}, curves={}, seed=0, versions={"torch": "2"},
    hardware=Hardware(device="cpu", threads=1, processor="one"),
)  # fmt: skip
STEP = Step(run=Run.STUDENT, step=1, steps=1, epoch=1.0, progress=1.0, metrics={"loss": 0.5})


async def finish_the_samples(database: Database, store: Store) -> None:
    async with database.transaction() as session:
        while claimed := await inspections.claim(session, 30):
            await inspections.finish(session, claimed, _found(claimed))
        lease = await leases.claim(session, "hands", 30)
        assert lease
        assert lease.job_id == JOB
        await leases.advance(session, lease, JobState.RUNNING)
        await leases.record(session, lease, [STEP], "epoch 1\n")
        await leases.advance(session, lease, JobState.FINALIZING)
    student = await store.put_file(TEACHER)
    report = await store.put(_bytes(REPORT), limit=2**20)
    files = [
        leases.artifact(
            lease, "student", "student.safetensors", student.size, student.sha256, "application/octet-stream"
        ),
        leases.artifact(lease, "report", "report.json", report.size, report.sha256, "application/json"),
    ]
    async with database.transaction() as session:
        await leases.finish(session, lease, StopReason.COMPLETED, files)


async def _bytes(report: Report) -> AsyncIterator[bytes]:
    yield report.model_dump_json().encode()


def _found(claimed: inspections.Inspecting) -> ModelInspection | DatasetInspection:
    if isinstance(claimed.task, InspectModel):
        return ModelInspection(parameters=227)
    inputs = Tensor(name="inputs", shape=(150, 4), dtype="float32")
    return DatasetInspection(rows=150, inputs=inputs, labelled=150, classes=3, splits=PARTS, labelled_splits=PARTS)
