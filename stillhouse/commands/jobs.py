"""`stillhouse jobs`, `show`, `cancel`, `pause`, `resume`, `retry`, `clone`."""

from itertools import islice
from typing import Annotated

import typer

from app.contract.explained import WAITS, remedy
from app.contract.resources import Job
from app.contract.teachers import members_of
from stillhouse.commands.following import follow_to_the_end
from stillhouse.commands.terminal import URL, AsJson, JobId, Url, connect, print_json, table
from stillhouse.follow import span


def jobs(
    *,
    state: Annotated[str | None, typer.Option(help="Only jobs of this state: queued, running, succeeded, …")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs with this label, as key:value.")] = None,
    teacher: Annotated[str | None, typer.Option(help="Only jobs of this teacher: mdl_…")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    url: Url = URL,
    as_json: AsJson = False,  # typer's way to write a switch
) -> None:
    """List jobs, newest first.

    Example: `stillhouse jobs --state running`
    """
    with connect(url) as client:
        found = client.jobs.list(state=state, label=label, teacher=teacher, limit=min(limit, 100))
        rows = [job.resource for job in islice(found, limit)]
    if as_json:
        print_json(rows)
    else:
        heads = ("JOB", "NAME", "STATE", "PROGRESS", "CREATED")
        typer.echo(table(heads, [_row(job) for job in rows]))


def show(
    job: JobId,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Show how one job stands.

    Example: `stillhouse show job_0193…`
    """
    with connect(url) as client:
        found = client.jobs.get(job).resource
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(f"{name:<10} {value}" for name, value in _facts(found) if value))


def cancel(job: JobId, url: Url = URL) -> None:
    """End a job; safe to repeat.

    Example: `stillhouse cancel job_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{job} is {client.jobs.get(job).cancel().state}")


def pause(job: JobId, url: Url = URL) -> None:
    """Lay a job down until it is resumed; its worker is free for others. Safe to repeat.

    Example: `stillhouse pause job_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{job} is {client.jobs.get(job).pause().state}")


def resume(job: JobId, url: Url = URL) -> None:
    """Let a paused job go on from its checkpoint; safe to repeat.

    Example: `stillhouse resume job_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{job} is {client.jobs.get(job).resume().state}")


def retry(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the progress until the job's end.")] = False,  # noqa: FBT002
    url: Url = URL,
) -> None:
    """Try a job again that failed, was cancelled or expired, from its last checkpoint if there is one. Prints the id.

    Safe to repeat: a job has one retry.

    Example: `stillhouse retry job_0193… --follow`
    """
    with connect(url) as client:
        made = client.jobs.get(job).retry()
        typer.echo(made.id)
        if follow:
            follow_to_the_end(made)


def clone(
    job: JobId,
    name: Annotated[str | None, typer.Option(help="Of the new job; by default the same.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the progress until the job's end.")] = False,  # noqa: FBT002
    url: Url = URL,
) -> None:
    """Submit a job's spec again: the same inputs and settings, so on the same CPU the same student. Prints the new id.

    Example: `stillhouse clone job_0193… --follow`
    """
    with connect(url) as client:
        made = client.jobs.get(job).clone(name=name)
        typer.echo(made.id)
        if follow:
            follow_to_the_end(made)


def _row(job: Job) -> tuple[str, ...]:
    return (job.id, job.name or "-", job.state, f"{job.progress:.0%}", f"{job.created_at:%Y-%m-%d %H:%M:%S}")


def _facts(job: Job) -> list[tuple[str, str]]:
    place = f"place {job.queue_position} in the queue" if job.queue_position else ""
    waits = f" (waits: {job.blocked_by.replace('_', ' ')})" if job.blocked_by else ""
    run = {term.kind: term.weight for term in job.spec.objective}
    return [
        ("job", job.id),
        ("name", job.name or ""),
        ("state", f"{job.state}{waits}"),
        ("phase", job.phase or ""),
        ("queue", place),
        ("progress", f"{job.progress:.0%}"),
        ("left", f"about {span(job.eta_seconds)}" if job.eta_seconds else ""),
        ("failure", f"{job.failure.code}: {job.failure.detail}" if job.failure else ""),
        ("what to do", job.failure.help if job.failure else remedy(WAITS, job.blocked_by) if job.blocked_by else ""),
        ("attempt", f"{job.attempt} of {job.max_attempts}" if job.attempt else ""),
        ("teacher", ", ".join(member.model for member in members_of(job.spec.teacher))),
        ("student", job.spec.student.model or job.spec.student.model_dump_json(include={"architecture"})),
        ("data", job.spec.transfer_set),
        ("stages", ", ".join(f"{stage.name} ({stage.epochs} epochs)" for stage in job.spec.stages)),
        ("objective", ", ".join(f"{kind} x {weight}" for kind, weight in run.items())),
        ("labels", ", ".join(f"{key}:{value}" for key, value in job.labels.items())),
        ("pinned", "yes" if job.pinned else ""),
        ("clone of", job.cloned_from or ""),
        ("retry of", job.retry_of or ""),
        ("created", f"{job.created_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("finished", f"{job.finished_at:%Y-%m-%d %H:%M:%S %Z}" if job.finished_at else ""),
    ]
