"""Where memory ran out: micro-batches are halved, as often as the job file says, and the same batch is learnt from."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from app.contract.job_file import JobFile
from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure


def micro_batches(job: JobFile, batch: int) -> int:
    """Return into how many parts a batch is cut. Raises EngineFailure where the last halving made them no smaller."""
    wanted = job.spec.micro_batches
    if job.halvings and ceil(batch / (wanted << (job.halvings - 1))) == 1:
        text = "Memory ran out, and a micro-batch is a single sample already: take a smaller student, or a larger host."
        raise EngineFailure(FailureCode.OUT_OF_MEMORY, text)
    return wanted << job.halvings


@contextmanager
def blamed(job: JobFile) -> Iterator[None]:
    """Say that memory ran out where parts that were halved are too small for a student that took larger ones."""
    try:
        yield
    except EngineFailure as failure:
        if not job.halvings:
            raise
        text = f"Memory ran out, and micro-batches cannot be halved any more. {failure.detail}"
        raise EngineFailure(FailureCode.OUT_OF_MEMORY, text) from failure


def told(job: JobFile) -> str:
    """Return what a user should know of halved micro-batches."""
    wanted = job.spec.micro_batches
    return (
        f"Memory ran out: each batch is cut into {wanted << job.halvings} micro-batches instead of {wanted}. The "
        "gradients stay those of the whole batch, but batch norms and terms that relate samples to one another see "
        "smaller parts of it."
    )
