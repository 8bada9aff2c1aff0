"""Who does the work: `client.workers`."""

from app.contract.resources import Page
from app.contract.workers import Running, Worker
from stillhouse import calls
from stillhouse.transport import Transport


class Workers:
    """Look who is there, and empty one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[Worker]:
        """Return every worker, with its role, its devices and its jobs."""
        return self._transport.send(calls.get("/v1/workers", Page[Worker])).data

    def drain(self, worker: Worker | str, *, running: Running = "finish") -> Worker:
        """Have a worker take no more jobs; safe to repeat. Raises Conflict where it is lost.

        `running`: `finish` lets those that it is at come to their end, `checkpoint` gives them back to the queue.
        """
        return self._transport.send(calls.drain(_id(worker), running))

    def undrain(self, worker: Worker | str) -> Worker:
        """Have a worker take jobs again; safe to repeat. Raises Conflict where it is lost."""
        return self._transport.send(calls.undrain(_id(worker)))


def _id(worker: Worker | str) -> str:
    return worker if isinstance(worker, str) else worker.id
