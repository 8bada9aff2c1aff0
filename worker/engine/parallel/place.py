"""Which of a job's processes this one is, by the variables that torchrun and our worker set. Standard library only."""

import os
from dataclasses import dataclass

MEETING = "STILLHOUSE_MEETING"
"""Where the processes that a worker starts meet: a file's URL. torchrun has a place of its own."""


@dataclass(frozen=True)
class Place:
    """Number `rank` of `size`; on this host, `local_rank` of `local_size`."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def place() -> Place:
    rank, size = _number("RANK", 0), _number("WORLD_SIZE", 1)
    return Place(rank, size, _number("LOCAL_RANK", rank), _number("LOCAL_WORLD_SIZE", size))


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name, otherwise))
