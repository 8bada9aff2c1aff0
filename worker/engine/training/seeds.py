"""Seeds that follow from others."""

import hashlib
import random

import numpy as np
import torch


def seed_from(text: str) -> int:
    """Return a seed of 32 bits, as many as torch's CPU generator takes.

    Hashed, so that neighbouring seeds, epochs and generations have nothing in common.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def seed_all(seed: int) -> None:
    """Start every random number that a training may draw from this seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
