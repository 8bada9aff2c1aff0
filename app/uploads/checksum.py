"""The checksum of one request's bytes: tus' checksum extension."""

import base64
import binascii
import hashlib

from app.contract.errors import BadRequest, ChecksumMismatch

ALGORITHMS = ("sha1", "sha256", "sha512")


class Checksum:
    """What was announced, and what has come so far."""

    def __init__(self, algorithm: str, announced: bytes) -> None:
        self._algorithm, self._announced = algorithm, announced
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    @classmethod
    def parse(cls, header: str) -> "Checksum":
        """Read Upload-Checksum: an algorithm and a digest in base64. Raises BadRequest."""
        algorithm, _, encoded = header.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            raise BadRequest(f"Upload-Checksum: {algorithm!r} is none of {', '.join(ALGORITHMS)}")
        try:
            announced = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise BadRequest(f"Upload-Checksum: {encoded!r} is not base64") from error
        found = cls(algorithm, announced)
        if len(announced) != found.length:
            raise BadRequest(f"Upload-Checksum: {algorithm} has {found.length} bytes, not {len(announced)}")
        return found

    @property
    def length(self) -> int:
        return self._digest.digest_size

    def add(self, chunk: bytes) -> None:
        self._digest.update(chunk)

    def check(self) -> None:
        """Raise ChecksumMismatch where the bytes are not the announced ones."""
        if self._digest.digest() != self._announced:
            found = base64.b64encode(self._digest.digest()).decode()
            raise ChecksumMismatch(f"the {self._algorithm} of what came is {found}; none of it was kept")
