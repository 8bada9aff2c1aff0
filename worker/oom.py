"""Whether the kernel has killed a child because memory ran out: all that such a death leaves is a counter.

The victim's memory group counts it (`memory.events` of cgroup v2, `memory.oom_control` of v1), whether the group or the
whole host had run out. A child stays in its worker's group, so the worker reads its own; several children of one group
that are killed at once cannot be told apart. Where no group tells (cgroups are off, or this is the root group),
/proc/vmstat counts for the whole host, other containers included.

What it cannot know: who else sends SIGKILL. systemd-oomd and earlyoom do, and leave no trace here.
"""

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_COUNTER = "oom_kill"


def kills(root: Path = Path("/")) -> int | None:
    """Return how often the kernel has killed for want of memory, in the narrowest place that tells; None: nobody does.

    `root`: where /proc and /sys lie.
    """
    for path in _places(root):
        with suppress(OSError, ValueError):
            fields = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if " " in line)
            if _COUNTER in fields:
                return int(fields[_COUNTER])
    return None


def _places(root: Path) -> Iterator[Path]:
    groups = root / "sys/fs/cgroup"
    v1, v2 = _groups(root / "proc/self/cgroup")
    # A container may see its own group at the top, whatever /proc calls it.
    if v1 is not None:
        yield from (groups / "memory" / path / "memory.oom_control" for path in (v1, ""))
    if v2 is not None:
        yield from (groups / path / "memory.events" for path in (v2, ""))
    yield root / "proc/vmstat"


def _groups(path: Path) -> tuple[str | None, str | None]:
    """Return this process's group in the memory controller of v1, and in v2, where there are such."""
    try:
        lines = [line.split(":", 2) for line in path.read_text().splitlines()]
    except OSError:
        return None, None
    found = {controllers: group.lstrip("/") for _, controllers, group in lines}
    v1 = next((group for controllers, group in found.items() if "memory" in controllers.split(",")), None)
    return v1, found.get("")


class OomWatch:
    """Watches over a child from before its start."""

    def __init__(self) -> None:
        self._before = kills()

    def blames_memory(self, code: int) -> bool:
        """Return whether a child that ended with this code was killed because memory ran out, as far as is known."""
        return code == -signal.SIGKILL and self._before is not None and (kills() or 0) > self._before

    def remark(self, code: int) -> str:
        """Return what to add to the news that a child was killed by SIGKILL, for which memory is not blamed."""
        if code != -signal.SIGKILL:
            return ""
        known = self._before is not None
        return (
            " (not by the kernel for want of memory)" if known else " (perhaps for want of memory: nothing tells here)"
        )
