"""How a job or an inspection can end other than well.

Exception
├── EngineFailure   the job failed, with the code that users see
├── Refused         an upload or input that does not fit, with a sentence for each problem
├── Stopped         SIGTERM: the same directory goes on later
└── PeerLost        another process of the job has ended, or hangs
"""

from app.contract.disks import no_room
from app.contract.states import FailureCode


class EngineFailure(Exception):
    """The job cannot go on: a code for programs, a sentence for people."""

    def __init__(self, code: FailureCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Refused(Exception):
    """What was uploaded cannot be used; every problem is a full sentence."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = list(problems)


class Stopped(Exception):
    """A stop was asked for."""


class PeerLost(Exception):
    """Another process of the job does not answer any more: it says why, not we."""


def failure_of(error: BaseException) -> EngineFailure:
    """Return the failure that an exception amounts to."""
    if isinstance(error, EngineFailure):
        return error
    text = " ".join(str(error).split())
    if out_of_memory(error):
        return EngineFailure(FailureCode.OUT_OF_MEMORY, text or "the process ran out of memory")
    if full := no_room(error):
        return EngineFailure(FailureCode.DISK_FULL, full)
    return EngineFailure(FailureCode.ENGINE_CRASHED, f"{type(error).__name__}: {text}")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out."""
    # torch.OutOfMemoryError is known by its name, so that this module needs no torch; its CPU twin by its text alone.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
