"""`stillhouse accounts`, `audit-log`: whose keys there are, and what was done with them."""

from typing import Annotated

import typer

from app.contract.limits import OwnLimits, Usage
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

app = typer.Typer(name="accounts", help="Accounts, which see nothing of each other.", no_args_is_help=True)
_CHANGES = ("TIME", "ACCOUNT", "KEY", "OPERATION", "SUBJECTS")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for people.", show_default=False)],
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Open an account and print its id; `stillhouse keys create --account` makes its keys.

    Example: `stillhouse accounts create "speech lab"`
    """
    with connect(url) as client:
        made = client.accounts.create(name)
    print_json(made) if as_json else typer.echo(made.id)


@app.command("list")
def list_accounts(
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List accounts.

    Example: `stillhouse accounts list`
    """
    with connect(url) as client:
        found = list(client.accounts.list())
    if as_json:
        print_json(found)
        return
    rows = [(one.id, f"{one.created_at:%Y-%m-%d %H:%M}", one.name) for one in found]
    typer.echo(table(("ACCOUNT", "CREATED", "NAME"), rows))


@app.command("limits")
def set_limits(
    account: Annotated[str, typer.Argument(help="The account's id: tnt_…", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="LIMIT=NUMBER", help="0: none; `default`: as the service's settings say."),
    ] = None,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give an account limits of its own, and show those in force; `docs/limits.md` has their names.

    Example: `stillhouse accounts limits tnt_0193… stored_bytes=50000000000 queued_jobs=default`
    """
    wanted = dict(map(_change, changes or []))
    with connect(url) as client:
        if wanted:
            client.accounts.limit(account, **wanted)
        _show_usage(client.usage(account), as_json=as_json)


def _change(text: str) -> tuple[str, float | None]:
    name, _, number = text.partition("=")
    try:
        most = None if number == "default" else float(number)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not LIMIT=NUMBER or LIMIT=default") from None
    if name not in OwnLimits.model_fields:
        raise typer.BadParameter(f"there is no limit {name!r}; there are {', '.join(OwnLimits.model_fields)}")
    return name, int(most) if most is not None and most.is_integer() else most


def usage(
    account: Annotated[
        str | None, typer.Option(help="Another one: tnt_…, for administrators.", show_default="your own")
    ] = None,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show what your account may have and do, and what it has.

    Example: `stillhouse usage`
    """
    with connect(url) as client:
        _show_usage(client.usage(account), as_json=as_json)


def _show_usage(found: Usage, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    used, limits = found.used.model_dump(), found.limits.model_dump()
    rows = [(name, str(used.get(name, "-")), f"{most:.15g}" if most else "none") for name, most in limits.items()]
    typer.echo(table(("LIMIT", "USED", "ALLOWED"), rows))


def audit_log(
    account: Annotated[str | None, typer.Option(help="Whose key it was.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option(help="Which key: key_…", show_default=False)] = None,
    operation: Annotated[str | None, typer.Option(help="Such as create_job.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List what was changed, and with whose key, newest first.

    Example: `stillhouse audit-log --operation create_api_key`
    """
    with connect(url) as client:
        entries = client.audit_log.list(account=account, key=key, operation=operation)
        found = [entry for _, entry in zip(range(limit), entries, strict=False)]
    if as_json:
        print_json(found)
        return
    rows = [
        (f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.account, one.key or "-", one.operation, ",".join(one.subjects))
        for one in found
    ]
    typer.echo(table(_CHANGES, rows))
