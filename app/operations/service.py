"""What the database knows about how the installation is doing, as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.workers import DeviceUse
from app.operations.repository import OperationsRepository, StepSeen, Waiting


@dataclass(frozen=True)
class Pace:
    """How a running job trains now."""

    step_seconds: float
    samples_per_second: float


@dataclass(frozen=True)
class Numbers:
    """The installation at one moment."""

    jobs_by_state: dict[str, int]
    queue: Sequence[Waiting]
    attempts_lost: int
    jobs_by_host: dict[str, int]
    slots_by_host: dict[str, int]
    gpus: dict[tuple[str, str], DeviceUse]
    """By host and number; several workers may see the same one."""
    paces: Sequence[Pace]
    deliveries_by_state: dict[str, int]
    webhooks_disabled: dict[str, int]
    """By why."""


async def numbers(session: AsyncSession, lost_after: float) -> Numbers:
    """Count; workers not heard of for `lost_after` seconds are lost."""
    repository = OperationsRepository(session)
    return Numbers(
        jobs_by_state=await repository.jobs_by_state(),
        queue=await repository.queue(),
        attempts_lost=await repository.attempts_lost(),
        jobs_by_host=_by_host((slot.rpartition("/")[0], jobs) for slot, jobs in (await repository.held()).items()),
        slots_by_host=_by_host((await repository.slots(lost_after)).items()),
        gpus={(_host(worker), use.gpu): use for worker, use in await repository.devices(lost_after)},
        paces=_paces(await repository.last_steps()),
        deliveries_by_state=await repository.deliveries_by_state(),
        webhooks_disabled=await repository.webhooks_disabled(),
    )


def _by_host(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up the workers of a host."""
    hosts: Counter[str] = Counter()
    for worker, count in counts:
        hosts[_host(worker)] += count
    return hosts


def _host(worker: str) -> str:
    return worker.rpartition("@")[2]  # `<node>@<host>`


def _paces(steps: Sequence[StepSeen]) -> list[Pace]:
    found = (_pace(list(own)) for _, own in groupby(steps, key=lambda step: step.job_id))
    return [pace for pace in found if pace]


def _pace(steps: list[StepSeen]) -> Pace | None:
    """Return the pace between a job's last two reports; None where they are not of the same training."""
    if len(steps) < 2 or _training(steps[-2]) != _training(steps[-1]):
        return None
    before, last = steps[-2:]
    done = last.data["step"] - before.data["step"]
    seconds = (last.time - before.time).total_seconds()
    return Pace(seconds / done, last.data["metrics"].get("samples_per_second", 0.0)) if done > 0 else None


def _training(step: StepSeen) -> tuple[str, str | None]:
    return step.data["run"], step.data.get("stage")
