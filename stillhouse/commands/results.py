"""`stillhouse download`, `report`."""

from pathlib import Path
from typing import Annotated

import typer

from app.contract.report import Report, Scores
from stillhouse.commands.terminal import URL, AsJson, JobId, Url, connect, print_json, table
from stillhouse.download import StoredArtifact
from stillhouse.errors import NoSuchArtifact
from stillhouse.job import JobHandle


def download(
    job: JobId,
    to: Annotated[Path, typer.Argument(help="A file, or a folder.")] = Path(),
    artifact: Annotated[str, typer.Option(help="What: a kind (student, card, report, lock, …) or a name.")] = "student",
    everything: Annotated[bool, typer.Option("--all", help="All that was published, into a folder.")] = False,  # noqa: FBT002
    url: Url = URL,
) -> None:
    """Fetch the distilled student: resumes, checks the hash, and appears only when it is whole.

    With `--all`, fetch also its card, its report, and what other libraries want beside the weights.

    Example: `stillhouse download job_0193… student.safetensors`
    """
    with connect(url) as client:
        handle = client.jobs.get(job)
        if everything:
            typer.echo("\n".join(map(str, handle.download(to))))
            return
        stored = handle.student if artifact == "student" else _named(handle, artifact)
        typer.echo(f"{stored.download(to)}  sha256 {stored.sha256}")


def report(
    job: JobId,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Compare teacher, distilled student, and the same student without the teacher.

    Example: `stillhouse report job_0193…`
    """
    with connect(url) as client:
        found = client.jobs.get(job).report
    if as_json:
        print_json(found)
    else:
        typer.echo(compared(found))


def compared(found: Report) -> str:
    """Return the report's heart as a table, and what it was measured on."""
    rows = [_row("teacher", found.teacher)]
    rows += [_row(f"generation {number}", one) for number, one in enumerate(found.generations[:-1], start=1)]
    rows.append(_row("distilled student", found.student))
    if found.ensemble:
        rows.append(_row("all generations", found.ensemble))
    if found.control:
        rows.append(_row("same student, no teacher", found.control))
    on = found.evaluated_on
    heads = ("", "ACCURACY", "AGREEMENT", "ECE", "PARAMETERS", "LATENCY")
    parts = f"{on.words} words in " if on.words else f"{on.tokens} tokens in " if on.tokens else ""
    whole = f"{parts}{on.samples} samples"
    told = f"\non {whole} of the {on.split} split ({on.labelled} with a label)"
    return table(heads, rows) + told + (f"\nno control: {found.control_missing}" if found.control_missing else "")


def _row(who: str, scores: Scores) -> tuple[str, ...]:
    accuracy = "-" if scores.accuracy is None else f"{scores.accuracy:.1%}"
    if scores.entities:
        accuracy += f" (F1 {scores.entities.f1:.1%})"
    if scores.perplexity:
        accuracy += f" (perplexity {scores.perplexity:.2f})"
    ece = "-" if scores.ece is None else f"{scores.ece:.3f}"
    agreement = "-" if scores.agreement is None else f"{scores.agreement:.1%}"
    if near := scores.embedding:
        agreement = "-" if near.spearman is None else f"Spearman {near.spearman:.3f}"
        agreement = agreement if near.cosine is None else f"cosine {near.cosine:.3f}"
    return (who, accuracy, agreement, ece, f"{scores.parameters:,}", f"{scores.latency_ms:.3f} ms")


def _named(job: JobHandle, wanted: str) -> StoredArtifact:
    published = job.artifacts
    for stored in published:
        if wanted in {stored.kind, stored.name}:
            return stored
    there = ", ".join(dict.fromkeys(stored.kind for stored in published)) or "nothing yet"
    raise NoSuchArtifact(f"job {job.id} has published no {wanted} (there is: {there})")
