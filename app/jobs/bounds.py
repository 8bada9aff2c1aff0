"""What an account's limits say of a single job."""

from collections.abc import Iterator

from app.contract.errors import Problem
from app.contract.limits import Limits
from app.contract.spec import JobSpec


def bounded(spec: JobSpec, limits: Limits) -> tuple[JobSpec, list[Problem]]:
    """Return the spec, with the longest `max_runtime` where it has none, and what goes beyond the limits."""
    problems = [*_epochs(spec, limits.epochs), *_devices(spec, limits.devices), *_runtime(spec, limits.runtime_seconds)]
    if limits.runtime_seconds and spec.max_runtime is None and spec.generations == 1:
        spec = spec.model_copy(update={"max_runtime": limits.runtime_seconds})
    return spec, problems


def _epochs(spec: JobSpec, most: int) -> Iterator[Problem]:
    epochs = spec.epochs * spec.generations
    if most and epochs > most:
        detail = f"the job has {epochs:,} epochs, stages and generations included; it may have {most:,}"
        yield Problem(pointer="/training/epochs", detail=detail)


def _devices(spec: JobSpec, most: int) -> Iterator[Problem]:
    if most and spec.devices > most:
        yield Problem(pointer="/devices", detail=f"a job may have {most} of them at most")


def _runtime(spec: JobSpec, most: float) -> Iterator[Problem]:
    if most and spec.max_runtime is not None and spec.max_runtime > most:
        yield Problem(pointer="/max_runtime", detail=f"a job may train for {most:g} s at most")
    if most and spec.generations > 1:
        detail = f"a job may train for {most:g} s at most, and generations are not cut short: take one"
        yield Problem(pointer="/generations", detail=detail)
