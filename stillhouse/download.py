"""Downloads that resume, check the hash, and appear under their name only when they are whole."""

import hashlib
import os
import time
from pathlib import Path

import httpx2

from app.contract.resources import Artifact
from stillhouse.errors import Corrupted, ServiceError
from stillhouse.gauges import Gauge, gauge
from stillhouse.retry import BUSY
from stillhouse.sources import Path_
from stillhouse.transport import Transport

SILENCE = 60.0
"""Seconds without a byte after which the connection counts as dead."""


class StoredArtifact:
    """A published file of a job."""

    def __init__(self, transport: Transport, artifact: Artifact, *, progress: bool) -> None:
        self._transport = transport
        self._progress = progress
        self.resource = artifact
        self.kind = artifact.kind
        self.name = artifact.name
        self.size = artifact.size
        self.sha256 = artifact.sha256

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {self.size} bytes, sha256 {self.sha256}>"

    def download(self, path: Path_ = ".") -> Path:
        """Fetch the file to `path` (a folder keeps the artifact's own name) and return where it lies.

        An interrupted download leaves a hidden `.part` file that the next one continues. Raises Corrupted when the
        bytes do not have the artifact's SHA-256; nothing then appears under `path`.
        """
        target = Path(path)
        target = target / self.name if target.is_dir() else target
        part = target.with_name(f".{target.name}.{self.sha256[:16]}.part")
        with gauge(f"Downloading {target.name}", self.size, shown=self._progress) as done:
            resumed = part.exists()
            good = self._fetch(part, done)
            if not good and resumed:  # what an earlier download left may be what is wrong
                good = self._fetch(part, done)
        if not good:
            raise Corrupted(f"{self.name} did not arrive with its SHA-256 {self.sha256}; nothing was written")
        part.replace(target)
        _sync_folder(target.parent)
        return target

    def _fetch(self, part: Path, done: Gauge) -> bool:
        """Complete the part file; return whether it holds the right bytes, and remove it where it does not."""
        with part.open("ab") as file:
            digest = _Arriving(file.fileno(), part, done)
            attempt = 0
            while digest.size < self.size:
                before = digest.size
                try:
                    self._receive(digest)
                    attempt += 1
                except (httpx2.TransportError, ServiceError) as error:
                    attempt = 0 if digest.size > before else attempt
                    self._wait_or_raise(error, attempt)
                    attempt += 1
                if attempt > self._transport.rules.retries:
                    break
            os.fsync(file.fileno())
        good = digest.sha256 == self.sha256
        if not good:
            part.unlink()
        return good

    def _receive(self, arriving: "_Arriving") -> None:
        headers = {"Accept-Encoding": "identity"}
        if arriving.size:
            headers |= {"Range": f"bytes={arriving.size}-", "If-Range": f'"{self.sha256}"'}
        path = f"/v1/artifacts/{self.resource.id}"
        with self._transport.stream(path, headers, read_timeout=SILENCE) as response:
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                arriving.start_over()
            for chunk in response.iter_raw():  # as it comes: whatever is held back would be lost in a cut
                arriving.take(chunk)

    def _wait_or_raise(self, error: httpx2.TransportError | ServiceError, attempt: int) -> None:
        rules = self._transport.rules
        if isinstance(error, ServiceError):
            if error.status not in BUSY or attempt >= rules.retries:
                raise error
        elif rules.after_break(error, attempt, repeatable=True) is None:
            raise self._transport.unreachable(error) from error
        time.sleep(rules.wait(attempt))


class _Arriving:
    """The part file while it grows: written, counted and hashed at once."""

    def __init__(self, descriptor: int, part: Path, done: Gauge) -> None:
        self._descriptor = descriptor
        self._done = done
        with part.open("rb") as earlier:
            self._digest = hashlib.file_digest(earlier, "sha256")
            self.size = earlier.tell()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def take(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._digest.update(chunk)
        self.size += len(chunk)
        self._done(self.size)

    def start_over(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self._digest = hashlib.sha256()
        self.size = 0


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut, where the system can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
