"""How long one sample takes."""

import statistics
import time

import torch
from torch import nn

from worker.engine.data.samples import Inputs
from worker.engine.networks.modes import evaluating

_WARM_UP = 5
_RUNS = 50
_SECONDS = 1.0
"""Enough of it for a slow network; the median needs at least three runs all the same."""


def median_latency_ms(network: nn.Module, sample: Inputs) -> float:
    """Return the median time in milliseconds of a forward pass of `sample` (a batch of 1) on its device."""
    with evaluating(network):
        for _ in range(_WARM_UP):
            network(sample)
        times: list[float] = []
        while len(times) < 3 or (len(times) < _RUNS and sum(times) < _SECONDS):
            times.append(_seconds(network, sample))
    return 1000 * statistics.median(times)


def _seconds(network: nn.Module, sample: Inputs) -> float:
    _wait(sample.device)
    start = time.perf_counter()
    network(sample)
    _wait(sample.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
