"""The child in which a job or an inspection runs: its own session, its own walls, nothing of the service's secrets."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from worker.forkserver.client import ForkClient, Forked
from worker.forkserver.order import Order
from worker.sandbox.walls import Walls

Child = Process | Forked

LOG = "log.txt"
_CODE = Path(__file__).resolve().parents[1]
"""Where `worker` and `app` lie, for a service that runs from its source folder."""
_MEET = "worker.engine.parallel.joining:meet"
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH")
_LIKE_ALL = {"LANG": "C.UTF-8", "PYTHONPATH": str(_CODE), "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "passive"}

fork_server = ForkClient()
"""Of this slot, or whichever process runs children."""


@dataclass(frozen=True)
class Command:
    """What to run in a job's directory."""

    module: str
    folder: Path
    threads: int
    cuda: str | None = None
    """The CUDA devices to see; None leaves the choice to the host."""
    memory: int | None = None
    """Bytes of address space of each process; None for no limit."""
    shared: Sequence[Path] = ()
    """Folders beside its own that it reads and writes."""
    strict: bool = False
    """Whether it must not run where this host lacks a wall of the sandbox."""
    kept_open: tuple[int, ...] = ()
    """Descriptors that the child holds, too: what they lock stays locked until it has ended."""
    processes: int = 1
    """That do it together; each has its own walls."""
    extra: Mapping[str, str] = field(default_factory=dict)
    warm_seconds: float = 0.0
    """How long torch is kept ready for the next child; 0: this one starts cold."""

    def line(self) -> list[str]:
        # -P keeps the job's directory off sys.path: nothing that lies there is ever imported.
        python = [sys.executable, "-P", "-m"]
        starter = ["worker.sandbox"] if self.processes == 1 else ["worker.together", str(self.processes)]
        return [*python, *starter, json.dumps(asdict(self.walls())), self.module, str(self.folder)]

    def walls(self) -> Walls:
        """Return what the child may touch: its own folder, what is shared, and the code."""
        folders = [self.folder, *self.shared]
        return Walls(
            parent=os.getpid(),
            write=tuple(str(folder.resolve()) for folder in folders),
            read=tuple(os.environ.get("LD_LIBRARY_PATH", "").split(":")),
            memory=self.memory,
            cuda=bool(self.cuda),
            strict=self.strict,
            first=_MEET if self.processes > 1 else "",
            packages=("app", "worker", self.module.partition(".")[0]),  # the last: a stand-in for the engine
        )

    def environment(self) -> dict[str, str]:
        """Return the child's whole environment: no credentials, no settings of the service."""
        devices = {} if self.cuda is None else {"CUDA_VISIBLE_DEVICES": self.cuda, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return {
            **_of_all(),
            **devices,
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "OMP_NUM_THREADS": str(self.threads),
            **self.extra,
        }

    def order(self) -> Order:
        return Order(asdict(self.walls()), self.environment(), str(self.folder), self.module, [str(self.folder)])


def _of_all() -> dict[str, str]:
    """Return what every child finds in its environment, and the server that forks them."""
    return {**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **_LIKE_ALL}


@asynccontextmanager
async def running(command: Command) -> AsyncIterator[Child]:
    """A child for as long as this is entered: whatever of its session is left at the end is killed."""
    (command.folder / "tmp").mkdir(exist_ok=True)
    with (command.folder / LOG).open("ab") as log:
        process = await _warm(command, log.fileno()) or await _cold(command, log.fileno())
    try:
        yield process
    finally:
        kill(process)
        try:
            await process.wait()
        finally:
            if isinstance(process, Forked):
                process.let_go()


async def _warm(command: Command, log: int) -> Forked | None:
    """Have the child forked from where torch is ready; None where it has to start cold."""
    if not command.warm_seconds or command.processes > 1:
        return None
    descriptors = [log, *command.kept_open]
    return await fork_server.fork(command.order(), descriptors, command.warm_seconds, _of_all())


async def _cold(command: Command, log: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *command.line(),
        cwd=command.folder,
        env=command.environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        pass_fds=command.kept_open,
    )


def kill(process: Child) -> None:
    """End the child and everything else in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def ask_to_stop(process: Child) -> None:
    """Send SIGTERM: write a checkpoint, then stop."""
    with suppress(ProcessLookupError):
        process.terminate()


def evict(folder: Path) -> list[int]:
    """Kill what still works in a job's directory: the child of a worker that has lost the job. Returns its ids."""
    found = [pid for pid in _processes() if _works_in(pid, folder)]
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return found


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:  # it has ended, or is somebody else's
        return False


def how_it_ended(code: int) -> str:
    """Return a child's exit code (negative: a signal's number) in words."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}"


def last_words(folder: Path, limit: int = 2000) -> str:
    """Return the end of the child's log, up to `limit` bytes."""
    try:
        with (folder / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - limit))
            return log.read().decode(errors="replace").replace("\0", "").strip()
    except FileNotFoundError:
        return ""
