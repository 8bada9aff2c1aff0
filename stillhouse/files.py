"""Uploaded files: `client.files`."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from app.contract.resources import File
from stillhouse import calls, resuming
from stillhouse.errors import Corrupted
from stillhouse.gauges import gauge
from stillhouse.packing import Piece, length, pieces_of
from stillhouse.sending import Outgoing
from stillhouse.sources import Path_
from stillhouse.transport import Transport


class Files:
    """Bytes in the service's store. Registering a model or data set uploads its file by itself."""

    def __init__(self, transport: Transport, *, progress: bool) -> None:
        self._transport = transport
        self._progress = progress

    def upload(self, path: Path_, *, name: str | None = None) -> File:
        """Send a file, streaming, and check that what arrived has the SHA-256 of what was read here.

        A Hugging Face folder is sent as a .tar archive of what the service reads of it. A large file survives broken
        connections and a restart of the service; interrupted here, the next upload of it goes on where this stopped.
        """
        source = Path(path)
        title = name or (f"{source.resolve().name}.tar" if source.is_dir() else source.name)
        pieces = pieces_of(source)
        if sum(map(length, pieces)) >= resuming.WORTHWHILE:
            return resuming.send(self._transport, title, pieces, progress=self._progress)
        return self._upload_at_once(title, pieces)

    def _upload_at_once(self, title: str, pieces: Sequence[Piece]) -> File:
        with (
            gauge(f"Uploading {title}", sum(map(length, pieces)), shown=self._progress) as done,
            Outgoing(pieces, done) as content,
        ):
            file = self._transport.send(calls.upload(title, cast("IO[bytes]", content)))
            if file.sha256 == content.sha256:
                return file
        self.delete(file.id)
        raise Corrupted(f"{title} arrived with SHA-256 {file.sha256}, not {content.sha256}: it was damaged on the way")

    def get(self, file: str) -> File:
        return self._transport.send(calls.get(f"/v1/files/{file}", File))

    def delete(self, file: str) -> None:
        self._transport.send(calls.delete(f"/v1/files/{file}"))
