"""Progress bars of uploads and downloads: on a terminal only, and rich is imported only then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Gauge = Callable[[int], object]
"""Called with the number of bytes that are done."""


@contextmanager
def gauge(title: str, total: int, *, shown: bool) -> Iterator[Gauge]:
    """Yield what draws the progress of `total` bytes, or a silent one."""
    if not shown:
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415  # slow to import, and most programs draw nothing
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def on_terminal() -> bool:
    """Return whether standard error is a terminal, where progress is drawn."""
    return sys.stderr.isatty()
