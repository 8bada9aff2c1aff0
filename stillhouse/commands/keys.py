"""`stillhouse keys`: who may use the service."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from app.contract.accounts import ApiKey, NewApiKey, Scope
from stillhouse.commands.serve import FOLDER, require_server
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

app = typer.Typer(name="keys", help="API keys: make, list, replace, revoke.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id: key_…", show_default=False)]
_HEADS = ("KEY", "ACCOUNT", "SCOPES", "STATE", "LAST USED", "NAME")
_NEEDED = ("alembic", "celery", "fastapi", "sqlalchemy")


@app.command()
def bootstrap(
    data: Annotated[
        Path, typer.Option(envvar="STILLHOUSE_DATA", help="The service's folder, as `stillhouse serve` has it.")
    ] = Path(FOLDER),
    name: Annotated[str, typer.Option(help="Who holds it.")] = "first administrator",
    force: Annotated[bool, typer.Option("--force", help="Also where an administrator's key is there.")] = False,  # noqa: FBT002
) -> None:
    """Make the first key, on the service's own host and without its API. From then on every request needs a key.

    It has every scope, and is printed once, alone.

    Example: `export STILLHOUSE_API_KEY=$(stillhouse keys bootstrap)`
    """
    require_server(_NEEDED)
    folder = data.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = {**os.environ, "STILLHOUSE_DATA": str(folder)}
    if not environment.get("STILLHOUSE_DATABASE_URL"):  # the embedded one may not be there yet
        _run("migrations", environment=environment)
    _run("app.accounts", "bootstrap", "--name", name, *(["--force"] if force else []), environment=environment)


def _run(module: str, *words: str, environment: dict[str, str]) -> None:
    # -P: a folder `app` where the user stands is not ours.
    done = subprocess.run([sys.executable, "-P", "-m", module, *words], env=environment, check=False)  # noqa: S603
    if done.returncode:
        raise typer.Exit(1)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Who or what uses it.", show_default=False)],
    scope: Annotated[list[Scope] | None, typer.Option(help="Once for each.", show_default="read, submit")] = None,
    account: Annotated[str | None, typer.Option(help="Whose it is: tnt_…", show_default="your own")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="It expires then.", show_default="never")] = None,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Make a key, with yours, and print it once.

    Example: `stillhouse keys create --name dashboard --scope read`
    """
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    scopes = scope or [Scope.READ, Scope.SUBMIT]
    with connect(url) as client:
        _tell(client.keys.create(name, scopes=scopes, account=account, expires_at=expires_at), as_json=as_json)


@app.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="Only those of this account.", show_default=False)] = None,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List keys, without their secrets.

    Example: `stillhouse keys list`
    """
    with connect(url) as client:
        found = list(client.keys.list(account=account))
    if as_json:
        print_json(found)
        return
    typer.echo(table(_HEADS, [_row(key) for key in found]))


@app.command()
def rotate(
    key: KeyId,
    grace: Annotated[int, typer.Option(min=0, help="Seconds for which the old one is good beside it.")] = 0,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Replace a key by a new one of the same name and scopes, and print that once.

    Example: `stillhouse keys rotate key_0193… --grace 3600`
    """
    with connect(url) as client:
        _tell(client.keys.rotate(key, grace_seconds=grace), as_json=as_json)


@app.command()
def revoke(key: KeyId, url: Url = URL) -> None:
    """Have a key refused from the next request on. Safe to repeat.

    Example: `stillhouse keys revoke key_0193…`
    """
    with connect(url) as client:
        client.keys.revoke(key)
        typer.echo(f"{key} is revoked")


def _tell(made: NewApiKey, *, as_json: bool) -> None:
    print_json(made) if as_json else typer.echo(made.key)


def _row(key: ApiKey) -> tuple[str, ...]:
    used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "-"
    return key.id, key.account, ",".join(key.scopes), _state(key), used, key.name


def _state(key: ApiKey) -> str:
    now = datetime.now(UTC)
    if key.revoked_at:
        return "revoked" if key.revoked_at <= now else "replaced"
    return "expired" if key.expires_at and key.expires_at <= now else "good"
