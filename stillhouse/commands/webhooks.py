"""`stillhouse webhooks`: who is told of jobs, and whether it arrives."""

from typing import Annotated

import typer

from app.contract.webhooks import Delivery, DeliveryState, NewWebhook, Webhook, WebhookEvent
from stillhouse.commands.terminal import URL, AsJson, Url, connect, print_json, table

app = typer.Typer(name="webhooks", help="Webhooks: have others told of jobs.", no_args_is_help=True)
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id: whk_…", show_default=False)]
_HEADS = ("WEBHOOK", "STATE", "EVENTS", "NAME", "URL")
_SENT = ("DELIVERY", "CREATED", "TYPE", "STATE", "TRIES", "LAST")


@app.command()
def create(
    receiver: Annotated[
        str, typer.Argument(metavar="URL", help="Where a receiver waits: https://…", show_default=False)
    ],
    event: Annotated[
        list[WebhookEvent] | None, typer.Option(help="Once for each.", show_default="every end of a job")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.", show_default=False)] = None,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way to write a switch
) -> None:
    """Have a receiver told of your jobs; print the webhook's id and, once, its secret.

    Example: `stillhouse webhooks create https://example.org/hook --event job.failed`
    """
    with connect(url) as client:
        made = client.webhooks.create(receiver, name=name, **({"events": event} if event else {}))
    _tell(made, as_json=as_json)


@app.command("list")
def list_webhooks(
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List webhooks, without their secrets.

    Example: `stillhouse webhooks list`
    """
    with connect(url) as client:
        found = list(client.webhooks.list())
    print_json(found) if as_json else typer.echo(table(_HEADS, [_row(one) for one in found]))


@app.command("test")
def send_test(webhook: WebhookId, url: Url = URL) -> None:
    """Send something to a webhook, once; `deliveries` shows how it went.

    Example: `stillhouse webhooks test whk_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{client.webhooks.test(webhook).id} is on its way")


@app.command()
def deliveries(
    webhook: WebhookId,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List what was sent to a webhook and what will be, newest first.

    Example: `stillhouse webhooks deliveries whk_0193… --state failed`
    """
    with connect(url) as client:
        found = [one for _, one in zip(range(limit), client.webhooks.deliveries(webhook, state=state), strict=False)]
    print_json(found) if as_json else typer.echo(table(_SENT, [_sent(one) for one in found]))


@app.command()
def replay(
    webhook: WebhookId,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id: dlv_…", show_default=False)],
    url: Url = URL,
) -> None:
    """Send an event again, under its id. Safe to repeat.

    Example: `stillhouse webhooks replay whk_0193… dlv_0193…`
    """
    with connect(url) as client:
        typer.echo(f"{delivery} is {client.webhooks.replay(webhook, delivery).state}")


@app.command()
def enable(webhook: WebhookId, url: Url = URL) -> None:
    """Tell a webhook of jobs again. Safe to repeat.

    Example: `stillhouse webhooks enable whk_0193…`
    """
    _enable(webhook, url, enabled=True)


@app.command()
def disable(webhook: WebhookId, url: Url = URL) -> None:
    """Tell a webhook nothing until it is enabled again. Safe to repeat.

    Example: `stillhouse webhooks disable whk_0193…`
    """
    _enable(webhook, url, enabled=False)


def _enable(webhook: str, url: str, *, enabled: bool) -> None:
    with connect(url) as client:
        typer.echo(f"{webhook} is {_state(client.webhooks.update(webhook, enabled=enabled))}")


@app.command()
def rotate(
    webhook: WebhookId,
    grace: Annotated[int, typer.Option(min=0, help="Seconds for which the old secret signs beside it.")] = 0,
    url: Url = URL,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a webhook a new secret, and print that once.

    Example: `stillhouse webhooks rotate whk_0193… --grace 3600`
    """
    with connect(url) as client:
        _tell(client.webhooks.rotate(webhook, grace_seconds=grace), as_json=as_json)


@app.command()
def delete(webhook: WebhookId, url: Url = URL) -> None:
    """Forget a webhook, with all that is on its way there.

    Example: `stillhouse webhooks delete whk_0193…`
    """
    with connect(url) as client:
        client.webhooks.delete(webhook)
        typer.echo(f"{webhook} is deleted")


def _tell(made: NewWebhook, *, as_json: bool) -> None:
    print_json(made) if as_json else typer.echo(f"{made.id}\n{made.secret}")


def _row(one: Webhook) -> tuple[str, ...]:
    events = ",".join(event.removeprefix("job.") for event in one.events)
    return one.id, _state(one), events, one.name or "-", one.url


def _state(one: Webhook) -> str:
    if not one.enabled:
        return f"disabled ({one.disabled_by})"
    return "failing" if one.failing_since else "enabled"


def _sent(one: Delivery) -> tuple[str, ...]:
    last = one.attempts[-1] if one.attempts else None
    how = "-" if last is None else str(last.status or last.error)
    return one.id, f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.type, one.state, str(len(one.attempts)), how
