"""A job's progress, drawn live on a terminal, or written line by line where there is none."""

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, TextIO

from app.contract.resources import JobEvent
from stillhouse.standing import Standing

BETWEEN_LINES = 2.0
"""Seconds, at least, between two lines that report only progress."""


class Drawing(AbstractContextManager["Drawing"], Protocol):
    """Shows a standing after each event."""

    def show(self, standing: Standing) -> None: ...


def follow(title: str, events: Iterable[JobEvent], drawing: Drawing | None = None) -> None:
    """Show the events until they end."""
    standing = Standing()
    with drawing or drawing_for(sys.stderr, title) as picture:
        for event in events:
            standing.take(event)
            picture.show(standing)
            standing.notices.clear()


def drawing_for(stream: TextIO, title: str) -> Drawing:
    """Return bars for a terminal, lines for anything else."""
    return Bars(stream, title) if stream.isatty() else Lines(lambda line: print(line, file=stream, flush=True), title)


class Lines(Drawing):
    """One line when something changes, and now and then for the progress."""

    def __init__(self, write: Callable[[str], object], title: str) -> None:
        self._write = write
        self._title = title
        self._activity = ""
        self._last = float("-inf")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, standing: Standing) -> None:
        for notice in standing.notices:
            self._write(f"{self._title}: {notice}")
        activity, now = standing.activity(), time.monotonic()
        if activity != self._activity or now - self._last >= BETWEEN_LINES:
            self._activity, self._last = activity, now
            self._write(f"{self._title}: {'  '.join([activity, *figures(standing)])}")


class Bars(Drawing):
    """One bar for the job, its numbers beside it."""

    def __init__(self, stream: TextIO, title: str) -> None:
        from rich.console import Console  # noqa: PLC0415  # slow to import, and most programs draw nothing
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[numbers]}"),
        )
        self._progress = Progress(*columns, console=Console(file=stream))
        self._task = self._progress.add_task(title, total=1.0, numbers="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, standing: Standing) -> None:
        for notice in standing.notices:
            self._progress.console.print(notice, markup=False)
        whole = standing.state == "succeeded"
        self._progress.update(
            self._task,
            description=standing.activity(),
            completed=1.0 if whole else standing.progress,
            numbers="  ".join(figures(standing, percent=False)),
        )


def figures(standing: Standing, *, percent: bool = True) -> list[str]:
    """Return the numbers worth showing, each with its name."""
    shown = []
    if standing.state in {"running", "finalizing"}:
        if percent and standing.progress:
            shown.append(f"{standing.progress:.0%}")
        shown += [f"sample {standing.looked}"] if standing.looked else []
        shown += _of_training(standing) if standing.training else []
        if standing.eta_seconds is not None and standing.progress < 1:
            shown.append(f"about {span(standing.eta_seconds)} left")
    return shown


def _of_training(standing: Standing) -> list[str]:
    shown = [f"step {standing.step}/{standing.steps}"] if standing.steps else []
    if standing.loss is not None:
        shown.append(f"loss {standing.loss:.4g}")
    if standing.accuracy is not None:
        shown.append(f"accuracy {standing.accuracy:.1%}")
    return shown


def span(seconds: float) -> str:
    """Return a duration for people: 8 s, 3 min, 2 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
