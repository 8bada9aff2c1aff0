"""`stillhouse submit`, `validate`."""

from pathlib import Path
from typing import Annotated

import typer

from app.contract.resources import Estimate, Validation
from stillhouse.commands.following import follow_to_the_end
from stillhouse.commands.specs import read_spec, with_uploads
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json
from stillhouse.errors import told
from stillhouse.follow import span

SpecFile = Annotated[
    Path, typer.Argument(metavar="SPEC.yaml", exists=True, dir_okay=False, help="The job spec.", show_default=False)
]


def submit(
    spec: SpecFile,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the progress until the job's end.")] = False,  # noqa: FBT002
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Submit a job, after uploading the files that its spec names.

    `teacher:` and `transfer_set:` are ids, or `{file:, architecture:, key_map:}` and `{file:, format:, splits:}`, with
    paths relative to the spec. A `job.lock.json` submits the job that it is of again. The job's id goes to standard
    output, all else to standard error.

    Example: `stillhouse submit spec.yaml --follow`
    """
    with connect(url) as client:
        ready = with_uploads(client, read_spec(spec), spec.parent, _tell)
        job = client.jobs.submit(ready)
        if as_json:
            print_json(job.resource)
        else:
            typer.echo(job.id)
        if follow:
            follow_to_the_end(job)


def validate(
    spec: SpecFile,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Check a spec as a submission would, list everything that is wrong, and estimate what the job takes.

    Files that the spec names are uploaded first, since the check reads them; nothing is queued. Exit status 1 where
    the spec is not valid.

    Example: `stillhouse validate spec.yaml`
    """
    with connect(url) as client:
        ready = with_uploads(client, read_spec(spec), spec.parent, _tell)
        verdict = client.jobs.validate(ready)
    if as_json:
        print_json(verdict)
    else:
        typer.echo(_verdict(verdict))
    if not verdict.valid:
        raise typer.Exit(1)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _verdict(verdict: Validation) -> str:
    lines = [f"error    {told(problem)}" for problem in verdict.errors]
    lines += [f"warning  {told(problem)}" for problem in verdict.warnings]
    lines.append("the spec is valid" if verdict.valid else "the spec is not valid")
    return "\n".join(lines + ([_needs(verdict.estimate)] if verdict.estimate else []))


def _needs(estimate: Estimate) -> str:
    mib = 2**20
    return (
        f"needs about {estimate.memory_bytes / mib:.0f} MiB of memory, {estimate.disk_bytes / mib:.0f} MiB of disk and "
        f"{span(estimate.seconds_on_one_core)} on one core; {estimate.optimizer_steps:,} steps; teacher "
        f"{estimate.teacher_parameters:,} parameters, student {estimate.student_parameters:,}"
    )
