"""`stillhouse pin`, `unpin`, `retention`."""

from typing import Annotated

import typer

from app.contract.retention import Removal
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Of files, models, transfer sets, jobs: file_…, mdl_…, ds_…, job_….",
                   show_default=False),
]  # fmt: skip
_HEADS = ("KIND", "COUNT", "BYTES", "FIRST", "WHY")
_SHOWN = 3


def pin(ids: Ids, url: Url = URL) -> None:
    """Have the service never remove something by itself, nor what it needs. Safe to repeat.

    Example: `stillhouse pin job_0193… mdl_0193…`
    """
    _set_pins(ids, url, pinned=True)


def unpin(ids: Ids, url: Url = URL) -> None:
    """Take a pin away. Safe to repeat.

    Example: `stillhouse unpin job_0193…`
    """
    _set_pins(ids, url, pinned=False)


def retention(
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Show what the service would remove by itself now, and why. Nothing is removed.

    Example: `stillhouse retention`
    """
    with connect(url) as client:
        found = client.retention()
    if as_json:
        print_json(found)
        return
    typer.echo(table(_HEADS, [_row(due) for due in found.removals]))


def _set_pins(ids: list[str], url: str, *, pinned: bool) -> None:
    with connect(url) as client:
        for identity in ids:
            try:
                client.pin(identity) if pinned else client.unpin(identity)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error
            typer.echo(f"{identity} is {'pinned' if pinned else 'not pinned'}")


def _row(due: Removal) -> tuple[str, ...]:
    return (due.kind, str(due.count), str(due.bytes), ",".join(due.first[:_SHOWN]) or "-", due.reason)
