"""Transfer sets: `client.datasets`."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.contract.resources import Dataset, File, Page
from app.contract.states import InspectionState
from app.contract.transfer import Splits, Table, TaggedWords, Text, TransferFormat
from stillhouse import calls
from stillhouse.errors import DatasetRejected
from stillhouse.files import Files
from stillhouse.models import SETTLED
from stillhouse.pages import every, same
from stillhouse.sources import Arrays, arrays_file, holds_texts, holds_words
from stillhouse.transport import Transport
from stillhouse.waiting import wait_until

_IN_ROWS = {"text", "table", "tagged_words"}
"""Formats whose columns in memory are written as JSON Lines."""


class Datasets:
    """Data that carries the teacher's knowledge over."""

    def __init__(self, transport: Transport, files: Files) -> None:
        self._transport = transport
        self._files = files

    def create(
        self,
        data: Arrays | File,
        *,
        format: TransferFormat | Mapping[str, Any] | None = None,  # noqa: A002  # the interface's own word
        splits: Splits | Mapping[str, Any] | None = None,
        name: str | None = None,
        wait: bool = True,
        timeout: float | None = 600,
    ) -> Dataset:
        """Upload a transfer set, register it, and wait until the service has inspected it.

        `data`: a path, arrays by name (`{"inputs": ..., "labels": ..., "split": ...}`; a label of -1 means none),
        texts (`{"text": [...], "label": [...], "split": [...]}`; None or -1 means none), lists of words (`{"tokens":
        [[...], ...], "tags": [[...], ...]}`), columns of a table, or a file uploaded before. `format` says what a file
        holds: `{"kind": "text"}` or `{"kind": "table"}` for CSV, JSON Lines or Parquet, `{"kind": "tagged_words"}` for
        JSON Lines or Parquet, `{"kind": "images"}` for class folders in a .zip, .tar or .tar.gz file, or a Parquet
        column; by default arrays (.npz or .safetensors). Raises DatasetRejected with the problems found, and
        WaitTimeout after `timeout` seconds.
        """
        if format is None and holds_texts(data):
            format = Text() if {"text", "sentence"} & set(data) else Table()  # noqa: A001  # as above
        if format is None and holds_words(data):
            format = TaggedWords()  # noqa: A001  # as above
        file = data if isinstance(data, File) else self._upload(data, in_rows=_kind(format) in _IN_ROWS)
        dataset = self._transport.send(
            calls.register("/v1/datasets", Dataset, file=file.id, format=format, splits=splits, name=name)
        )
        return self.wait(dataset.id, timeout=timeout) if wait else dataset

    def wait(self, dataset: str | Dataset, *, timeout: float | None = 600) -> Dataset:
        """Return the set once it is ready; raise DatasetRejected."""
        identity = identity_of(dataset)
        settled = wait_until(
            lambda: self.get(identity),
            lambda seen: seen.state in SETTLED,
            timeout,
            f"the inspection of {identity}",
        )
        if settled.state is InspectionState.REJECTED:
            raise DatasetRejected(settled)
        return settled

    def get(self, dataset: str) -> Dataset:
        return self._transport.send(calls.get(f"/v1/datasets/{dataset}", Dataset))

    def list(self, *, limit: int = 100) -> Iterator[Dataset]:
        """Yield all transfer sets, newest first; `limit` is the size of a page."""
        return every(self._transport, "/v1/datasets", Page[Dataset], same, limit=limit)

    def rename(self, dataset: str | Dataset, name: str) -> Dataset:
        return self._transport.send(calls.change(f"/v1/datasets/{identity_of(dataset)}", Dataset, name=name))

    def delete(self, dataset: str | Dataset) -> None:
        self._transport.send(calls.delete(f"/v1/datasets/{identity_of(dataset)}"))

    def _upload(self, data: Arrays, *, in_rows: bool) -> File:
        with arrays_file(data, in_rows=in_rows) as path:
            return self._files.upload(path)


def identity_of(dataset: str | Dataset) -> str:
    return dataset if isinstance(dataset, str) else dataset.id


def _kind(form: TransferFormat | Mapping[str, Any] | None) -> Any:
    return form.get("kind") if isinstance(form, Mapping) else form and form.kind
