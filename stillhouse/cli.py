"""The `stillhouse` command. Each group of commands has its file in `stillhouse/commands/`."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stillhouse.commands import (
    accounts,
    following,
    jobs,
    keeping,
    keys,
    results,
    serve,
    submit,
    uploads,
    webhooks,
    workers,
)
from stillhouse.commands.terminal import refuse
from stillhouse.errors import StillhouseError


class Tidy(TyperGroup):
    """Prints what went wrong as a sentence, with exit status 1; a traceback only for our own mistakes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (StillhouseError, OSError) as error:
            refuse(error)


app = typer.Typer(
    name="stillhouse",
    cls=Tidy,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Knowledge distillation as a service: teachers and transfer sets in, small students out.\n\n"
    "Start a service with `stillhouse serve`, then `stillhouse submit spec.yaml --follow`.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:  # noqa: FBT001  # as typer calls it
    if asked:
        typer.echo(f"stillhouse {version('stillhouse')}")
        raise typer.Exit


@app.callback()
def of_all(
    _: Annotated[  # noqa: FBT002  # typer's way to write a switch
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Options that come before any command."""


app.command()(serve.serve)
app.command()(submit.submit)
app.command()(submit.validate)
app.command()(jobs.jobs)
app.command()(jobs.show)
app.command()(following.follow)
app.command()(following.logs)
app.command()(jobs.cancel)
app.command()(jobs.pause)
app.command()(jobs.resume)
app.command()(jobs.retry)
app.command()(jobs.clone)
app.command()(results.download)
app.command()(results.report)
app.command()(keeping.pin)
app.command()(keeping.unpin)
app.command()(keeping.retention)
app.command()(workers.workers)
app.command()(workers.drain)
app.command()(workers.undrain)
app.add_typer(webhooks.app)
app.add_typer(keys.app)
app.add_typer(accounts.app)
app.command()(accounts.usage)
app.command("audit-log")(accounts.audit_log)
app.command("upload-model")(uploads.upload_model)
app.command("upload-dataset")(uploads.upload_dataset)

if __name__ == "__main__":
    app()
