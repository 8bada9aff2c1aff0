"""Seeds that follow from others."""

import hashlib


def seed_from(text: str) -> int:
    """Return a seed of 32 bits, as many as torch's CPU generator takes.

    Hashed, so that neighbouring seeds, epochs and generations have nothing in common.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
