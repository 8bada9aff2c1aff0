"""`stillhouse accounts`, `audit-log`: whose keys there are, and what was done with them."""

from typing import Annotated

import typer

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
