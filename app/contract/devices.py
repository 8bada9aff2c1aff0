"""How many devices a job could get at once: of one worker, or the best of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from app.contract.spec import MOST_DEVICES

CPU = "cpu"
"""What a worker without CUDA lists."""


@dataclass(frozen=True)
class Devices:
    """The most that there are for one job."""

    any: int = MOST_DEVICES
    cuda: int = MOST_DEVICES
    """For one that insists on CUDA."""

    @classmethod
    def of_worker(cls, named: Iterable[str]) -> Self:
        """`named`: as a worker lists them. Without CUDA it runs as many processes as a job asks for."""
        devices = list(named)
        return cls(MOST_DEVICES, 0) if devices == [CPU] else cls(len(devices), len(devices))

    @classmethod
    def best(cls, workers: Iterable[Self]) -> Self:
        found = [cls(0, 0), *workers]
        return cls(max(one.any for one in found), max(one.cuda for one in found))

    def of(self, kind: str) -> int:
        """`kind`: the `device` of a spec."""
        return self.cuda if kind == "cuda" else self.any
