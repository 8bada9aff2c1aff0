"""The processes of one job. All make the same steps; each learns from its share of every batch. G = processes.

What keeps them together: gradients are added up before every step, so that all make it alike; whatever depends on
clocks, signals or files is decided by all together; and whoever fails ends, on which the others find him gone. The
first one leads: it alone reports, and writes checkpoints and results.

Alone, everything here does nothing.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from worker.engine.failures import PeerLost, Stopped, out_of_memory
from worker.engine.stop import StopSignal

T = TypeVar("T")


class Ranks:
    """This process among those of its job: number `rank` of `size`."""

    def __init__(self, stop: StopSignal, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._stop, self._stopping = stop, False

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, parts: Sequence[T]) -> Sequence[T]:
        """Return those of a batch's parts that this process learns from: neighbours; none, where the leader has all."""
        begin, end = (-(-len(parts) * place // self.size) for place in (self.rank, self.rank + 1))
        return parts[begin:end]

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - as the built-in
        """Return whether it holds for any. All must ask, and wait here for the last one."""
        if self.size == 1:
            return flag
        return bool(self.most(torch.tensor([flag], dtype=torch.uint8)))

    def wait(self) -> None:
        """Wait until all have come here."""
        self.any(False)  # noqa: FBT003

    def most(self, value: Tensor) -> Tensor:
        """Return the largest of each small number (uint8) of a tensor on the CPU."""
        if self.size == 1:
            return value
        # Whether a stop was asked for travels with it: it costs no message of its own.
        told = torch.cat([value, torch.tensor([self._stop.requested], dtype=torch.uint8)])
        with _answered():
            dist.all_reduce(told, op=dist.ReduceOp.MAX)
        self._stopping |= bool(told[-1])
        return told[:-1]

    def add_up(self, value: Tensor) -> Tensor:
        """Return the sum; the order does not depend on the process, so all get the same bits."""
        if self.size > 1:
            with _answered():
                dist.all_reduce(value)
        return value

    def gather(self, value: Tensor) -> Tensor:
        """Return what all have, one behind the other in the first dimension, in which they may differ."""
        if self.size == 1:
            return value
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with _answered():
            dist.all_gather(lengths, torch.tensor([len(value)]))
            longest = max(map(int, lengths))
            padded = value.new_zeros(longest, *value.shape[1:])
            padded[: len(value)] = value
            found = [torch.empty_like(padded) for _ in lengths]
            dist.all_gather(found, padded)
        return torch.cat([one[: int(length)] for one, length in zip(found, lengths, strict=True)])

    def tell(self, facts: Any) -> list[Any]:
        """Return what each says: anything that JSON can."""
        if self.size == 1:
            return [facts]
        said = json.dumps(facts).encode()
        sizes = self.gather(torch.tensor([len(said)])).tolist()
        words = self.gather(torch.frombuffer(bytearray(said), dtype=torch.uint8))
        return [json.loads(bytes(one.tolist())) for one in torch.split(words, sizes)]

    def check(self) -> None:
        """Raise Stopped in all processes where any was asked to stop, by when they last decided something."""
        if self.size == 1:
            self._stop.check()
        elif self._stopping:
            raise Stopped
        else:
            self._stop.show()

    def together(self, work: Callable[[], T]) -> T:
        """Do work that may be stopped in one process sooner than in another; Stopped in one is Stopped in all.

        Nothing in it may wait for the other processes.
        """
        if self.size == 1:
            return work()
        found: list[T] = []
        try:
            found.append(work())
        except Stopped:
            pass
        except BaseException:
            self.size = 1  # those who wait find us gone: nothing on our way out may wait for them
            raise
        if self.any(not found):
            raise Stopped
        return found[0]

    def leave(self) -> bool:
        """Go on alone, once all have come here; return whether this process leads, and has anything left to do."""
        if self.size > 1:
            self.wait()
            dist.destroy_process_group()
            self.size = 1
        return self.leads


@contextmanager
def _answered() -> Iterator[None]:
    """Tell a peer that is gone, or does not answer, from what is wrong here."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise PeerLost(str(error)) from error
