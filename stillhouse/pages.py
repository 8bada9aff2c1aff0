"""Lists that fetch their next page by themselves."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from app.contract.resources import Page, Resource
from stillhouse import calls
from stillhouse.transport import Transport

Item = TypeVar("Item", bound=Resource)
Bound = TypeVar("Bound")


def every(
    transport: Transport, path: str, page: type[Page[Item]], bind: Callable[[Item], Bound], **params: Any
) -> Iterator[Bound]:
    """Yield every item of a list, newest first, one request a page."""
    cursor: str | None = None
    while True:
        part = transport.send(calls.get(path, page, **params, cursor=cursor))
        yield from map(bind, part.data)
        cursor = part.next_cursor
        if not (part.has_more and cursor):
            return


def same(item: Item) -> Item:
    """Return the item as it is: for lists whose items are plain data."""
    return item
