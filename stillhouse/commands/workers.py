"""`stillhouse workers`, `drain`, `undrain`."""

from typing import Annotated

import typer

from app.contract.workers import Worker
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

_HEADS = ("WORKER", "ROLE", "STATE", "DEVICES", "SLOTS", "JOBS", "NAME")


def workers(
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """List who does the work: in which role, on which devices, and at which jobs each is.

    Example: `stillhouse workers`
    """
    with connect(url) as client:
        found = client.workers.list()
    if as_json:
        print_json(found)
        return
    typer.echo(table(_HEADS, [_row(one) for one in found]))


def _row(one: Worker) -> tuple[str, ...]:
    devices, jobs = (",".join(names) or "-" for names in (one.devices, one.jobs))
    return one.id, one.role, one.state, devices, str(one.slots), jobs, one.name


def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The worker's id: wrk_…", show_default=False)],
    checkpoint: Annotated[bool, typer.Option("--checkpoint", help="Give its jobs back, from a checkpoint.")] = False,  # noqa: FBT002
    url: Url = URL,
) -> None:
    """Have a worker take no more jobs, before its host is shut down say. Safe to repeat.

    Those that it is at come to their end first. It is drained then, until `stillhouse undrain`.

    Example: `stillhouse drain wrk_0193… --checkpoint`
    """
    with connect(url) as client:
        found = client.workers.drain(worker, running="checkpoint" if checkpoint else "finish")
        typer.echo(f"{worker} is {found.state}")


def undrain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The worker's id: wrk_…", show_default=False)],
    url: Url = URL,
) -> None:
    """Have a worker that was drained take jobs again. Safe to repeat.

    Example: `stillhouse undrain wrk_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{worker} is {client.workers.undrain(worker).state}")
