"""`stillhouse workers`, `drain`."""

from typing import Annotated

import typer

from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

_HEADS = ("WORKER", "STATE", "DEVICES", "SLOTS", "JOBS", "NAME")


def workers(
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """List who takes jobs, on which devices, and at which jobs each is.

    Example: `stillhouse workers`
    """
    with connect(url) as client:
        found = client.workers.list()
    if as_json:
        print_json(found)
        return
    rows = [
        (one.id, one.state, ",".join(one.devices), str(one.slots), ",".join(one.jobs) or "-", one.name) for one in found
    ]
    typer.echo(table(_HEADS, rows))


def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The worker's id: wrk_…", show_default=False)],
    checkpoint: Annotated[bool, typer.Option("--checkpoint", help="Give its jobs back, from a checkpoint.")] = False,  # noqa: FBT002
    url: Url = URL,
) -> None:
    """Have a worker take no more jobs, before its host is shut down say. Safe to repeat.

    Those that it is at come to their end first. It is drained then, until it is stopped.

    Example: `stillhouse drain wrk_0193… --checkpoint`
    """
    with connect(url) as client:
        found = client.workers.drain(worker, running="checkpoint" if checkpoint else "finish")
        typer.echo(f"{worker} is {found.state}")
