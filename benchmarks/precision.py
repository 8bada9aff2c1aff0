"""What bf16 buys: a student's training step in mixed precision over the same step in float32.

    python benchmarks/precision.py [--rounds 30]

One thread, batch 64, fused AdamW. Both precisions take turns, and the best step of each counts: other work on a
machine only slows it.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import torch
from torch.nn.functional import cross_entropy

from app.contract.architectures import Family, Lstm, Mlp, Resnet
from worker.engine import build
from worker.engine.training.precision import Precision, autocast, resolve

CPU = torch.device("cpu")
STUDENTS: dict[str, tuple[Family, tuple[int, ...]]] = {
    "LSTM 16, 20 x 8 values": (Lstm(inputs=8, hidden=16, classes=10), (20, 8)),
    "MLP 2 x 800, 784 values": (Mlp(inputs=784, hidden=(800, 800), classes=10), (784,)),
    "resnet8x4, 3 x 32 x 32": (Resnet(depth=8, widths=(32, 64, 128, 256), classes=10), (3, 32, 32)),
}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="timed steps of each")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"auto is {resolve('auto', CPU)} on this machine")
    for name, (student, shape) in STUDENTS.items():
        fp32, bf16 = best(student, shape, rounds)
        print(f"{name:24}  fp32 {fp32 * 1e3:8.2f} ms   bf16 {bf16 * 1e3:8.2f} ms   {fp32 / bf16:.2f} times as fast")


def best(student: Family, shape: tuple[int, ...], rounds: int) -> list[float]:
    """Return the seconds of the fastest step, float32 first."""
    steps = [training_step(student, shape, precision) for precision in PRECISIONS]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for step, found in zip(steps, times, strict=True):
            begin = time.perf_counter()
            step()
            found.append(time.perf_counter() - begin)
    return [min(found) for found in times]


def training_step(student: Family, shape: tuple[int, ...], precision: Precision) -> Callable[[], None]:
    """Return a function that makes one step as the engine does."""
    torch.manual_seed(0)
    network = build.network(student)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    inputs, labels = torch.randn(64, *shape), torch.randint(0, 10, (64,))

    def step() -> None:
        with autocast(precision, CPU):
            logits = network(inputs)
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


if __name__ == "__main__":
    main()
