"""`stillhouse upload-model`, `upload-dataset`."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json

Upload = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, show_default=False)]
Name = Annotated[str | None, typer.Option(help="A name for people; by default the file's.")]


def mapping(text: str | dict[str, Any]) -> dict[str, Any]:
    """Return an option written as JSON or YAML, or `@file` that holds it."""
    if isinstance(text, dict):
        return text
    try:
        found = yaml.safe_load(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error)) from error
    if not isinstance(found, dict):
        raise typer.BadParameter("should be a mapping, such as '{kind: mlp, inputs: 64, hidden: [16], classes: 10}'")
    return found


def upload_model(
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", exists=True, show_default=False)],
    *,
    architecture: Annotated[
        dict[str, Any] | None,
        typer.Option(parser=mapping, metavar="YAML|@FILE", help="What network the file holds.", show_default=False),
    ] = None,
    key_map: Annotated[
        dict[str, Any] | None,
        typer.Option(parser=mapping, metavar="YAML|@FILE", help="Parameter prefixes: yours -> the family's."),
    ] = None,
    preprocessing: Annotated[
        dict[str, Any] | None,
        typer.Option(parser=mapping, metavar="YAML|@FILE", help="How the network reads texts: words or a tokenizer."),
    ] = None,
    class_names: Annotated[
        list[str] | None,
        typer.Option(
            "--class-name", help="What an output stands for; once for each, in their order.", show_default=False
        ),
    ] = None,
    name: Name = None,
    url: Url = URL,
    as_json: AsJson = False,  # typer's way to write a switch
) -> None:
    """Upload weights (.safetensors, or a state dict saved by torch.save) and register them as a network.

    Example: `stillhouse upload-model teacher.safetensors
    --architecture '{kind: mlp, inputs: 64, hidden: [512, 512], classes: 10}'`

    A Hugging Face folder says itself what it is, tokenizer included: `stillhouse upload-model my-bert/`
    """
    if architecture is None and not file.is_dir():
        raise typer.BadParameter("is missing: it says what network the file holds", param_hint="--architecture")
    with connect(url) as client:
        model = client.models.create(
            file,
            architecture=architecture,
            key_map=key_map,
            preprocessing=preprocessing,
            class_names=class_names or None,
            name=name,
        )
    print_json(model) if as_json else typer.echo(model.id)


def upload_dataset(
    file: Upload,
    *,
    format: Annotated[  # noqa: A002  # the option's own name
        dict[str, Any] | None,
        typer.Option(parser=mapping, metavar="YAML|@FILE", help="What kind of set, and which names it has."),
    ] = None,
    splits: Annotated[
        dict[str, Any] | None,
        typer.Option(parser=mapping, metavar="YAML|@FILE", help="Shares of validation and test, and a seed."),
    ] = None,
    name: Name = None,
    url: Url = URL,
    as_json: AsJson = False,  # typer's way to write a switch
) -> None:
    """Upload a transfer set: arrays (.npz or .safetensors), or what `--format` says.

    `{kind: text}` or `{kind: table}`: CSV, JSON Lines or Parquet. `{kind: tagged_words}`: the last two. `{kind:
    images}`: class folders in a .zip, .tar or .tar.gz file, or a Parquet column.

    Example: `stillhouse upload-dataset reviews.csv --format '{kind: text, label: stars}' --splits '{test: 0.2}'`
    """
    with connect(url) as client:
        dataset = client.datasets.create(file, format=format, splits=splits, name=name)
    print_json(dataset) if as_json else typer.echo(dataset.id)
