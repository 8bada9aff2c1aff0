"""`stillhouse follow`, `logs`."""

import typer

from stillhouse.commands.terminal import URL, JobId, Url, connect
from stillhouse.job import JobHandle

DETACHED = 130
"""Exit status after Ctrl-C, so that `submit --follow && download` does not go on."""


def follow(job: JobId, url: Url = URL) -> None:
    """Show a job's progress until its end. Ctrl-C detaches and never cancels.

    Exit status: 0 succeeded, 1 ended without a student, 130 detached.

    Example: `stillhouse follow job_0193…`
    """
    with connect(url) as client:
        follow_to_the_end(client.jobs.get(job))


def logs(job: JobId, url: Url = URL) -> None:
    """Print what the engine printed.

    Example: `stillhouse logs job_0193… | less`
    """
    with connect(url) as client:
        typer.echo(client.jobs.get(job).logs(), nl=False)


def follow_to_the_end(job: JobHandle) -> None:
    if not job.follow().finished:
        raise typer.Exit(DETACHED)
    typer.echo(f"{job.id} {job.state}; fetch the student with: stillhouse download {job.id}", err=True)
