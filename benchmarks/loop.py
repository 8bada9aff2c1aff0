"""The training loop's speed: the engine, what people write by hand, and the limit of not having a teacher at all.

    python benchmarks/loop.py [--samples 8192] [--rounds 5] [--job-epochs 20] [--json]

Work W1: an LSTM of 2 x 64 taught to one of 16, samples of 20 steps x 8 values, batch 64, one thread. Rates are samples
a second; everything runs in turn, several rounds, and the medians are compared, because machines are noisy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from app.contract.architectures import Lstm
from app.contract.events import ENGINE_EVENT, Run
from app.contract.job_file import JobFile
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.reporter import Reporter
from worker.engine.stop import StopSignal

TEACHER = Lstm(inputs=8, hidden=64, layers=2, classes=10)
STUDENT = Lstm(inputs=8, hidden=16, classes=10)
BATCH, STEPS, RATE, TEMPERATURE = 64, 20, 2e-3, 4.0
Epoch = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each loop that are timed, in turn")
    parser.add_argument("--job-epochs", type=int, default=20, help="epochs of the jobs that run side by side; 0: none")
    parser.add_argument("--job-rounds", type=int, default=3, help="times that one job and two jobs take turns")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure_loops(Path(folder), options.samples, options.rounds)
        if options.job_epochs:
            found |= measure_side_by_side(Path(folder), options.samples, options.job_epochs, options.job_rounds)
    print(json.dumps(found, indent=2) if options.json else table(found))


def measure_loops(folder: Path, samples: int, rounds: int) -> dict[str, Any]:
    """Return samples/s of each loop: the median over the rounds."""
    job = write_job(folder / "loops", samples, epochs=rounds + 1)
    engine = engine_epochs(job)
    first = seconds(engine)
    loops: dict[str, Epoch] = {"naive": naive(job), "student_only": student_only(job), "engine": engine}
    loops["naive"](), loops["student_only"]()
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, epoch in loops.items():
            times[name].append(seconds(epoch))
    rates = {name: samples / statistics.median(found) for name, found in times.items()}
    return {
        "samples_per_second": {**rates, "engine_first_epoch": samples / first},
        "engine_over_naive": rates["engine"] / rates["naive"],
        "student_only_over_naive": rates["student_only"] / rates["naive"],
        "engine_over_student_only": rates["engine"] / rates["student_only"],
    }


def measure_side_by_side(folder: Path, samples: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Return the throughput of two jobs at once over that of one, in processes of one thread each.

    Of each the best round counts: with both cores at work, whatever else runs on the machine only slows it.
    """
    alone, pairs = [], []
    for number in range(rounds):
        alone += job_rates([write_job(folder / f"alone{number}", samples, epochs)])
        pairs.append(sum(job_rates([write_job(folder / f"{name}{number}", samples, epochs) for name in "ab"])))
    one, two = max(alone), max(pairs)
    return {"one_job": one, "two_jobs": two, "two_jobs_over_one": two / one}


def write_job(folder: Path, samples: int, epochs: int) -> Path:
    """Write a job directory of W1 without validation or control: nothing but the loop."""
    (folder / "inputs").mkdir(parents=True)
    torch.manual_seed(0)
    save_file(build.network(TEACHER).state_dict(), folder / "inputs" / "teacher.safetensors")
    inputs, labels = torch.randn(samples, STEPS, 8), torch.randint(0, 10, (samples,))
    save_file({"inputs": inputs, "labels": labels}, folder / "inputs" / "transfer_set")
    optimizer = {"kind": "adamw", "learning_rate": RATE}
    training = {"epochs": epochs, "batch_size": BATCH, "optimizer": optimizer, "checkpoint_seconds": 1e6}
    spec = {
        "teacher": "mdl_" + "0" * 32,
        "transfer_set": "ds_" + "0" * 32,
        "student": {"architecture": STUDENT.model_dump()},
        "training": training,
        "control": False,
        "device": "cpu",
    }
    splits = {"splits": {"validation": 0}}
    content = {
        "spec": spec,
        "teachers": [{"architecture": TEACHER.model_dump()}],
        "student": {"architecture": STUDENT.model_dump()},
        "transfer_set": splits,
    }
    (folder / "job.json").write_text(json.dumps(content))
    return folder


def engine_epochs(folder: Path) -> Epoch:
    """Return a function that trains one more epoch, as a job does."""
    job = JobFile.model_validate_json((folder / "job.json").read_bytes())
    bench = Bench(folder, job, Reporter(folder / "events.jsonl"), StopSignal())
    run = bench.training_run(bench.lessons(Run.STUDENT)[-1])
    run.state.network.train()

    def epoch() -> None:
        run.train_epoch()
        run.state.epoch += 1

    return epoch


def naive(folder: Path) -> Epoch:
    """Return an epoch as people write it: DataLoader, teacher in every step, plain AdamW, loss.item()."""
    bench = still_life(folder)
    teacher, student = bench.teachers[0].network.eval(), build.network(STUDENT)
    optimizer = torch.optim.AdamW(student.parameters(), lr=RATE)
    loader = DataLoader(TensorDataset(*tensors(bench)), BATCH, shuffle=True)

    def epoch() -> float:
        total = 0.0
        for inputs, labels in loader:
            with torch.no_grad():
                teacher_logits = teacher(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return epoch


def student_only(folder: Path) -> Epoch:
    """Return an epoch of the limit: labels alone, tensors in memory, the same plain AdamW as the naive loop."""
    bench = still_life(folder)
    student: nn.Module = build.network(STUDENT)
    optimizer = torch.optim.AdamW(student.parameters(), lr=RATE)
    inputs, labels = tensors(bench)

    def epoch() -> None:
        for rows in torch.split(torch.randperm(len(inputs)), BATCH):
            loss = F.cross_entropy(student(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Return 0.9 soft + 0.1 hard targets at temperature 4, as the job's default."""
    soft = F.kl_div(F.log_softmax(student / TEMPERATURE, 1), F.softmax(teacher / TEMPERATURE, 1), reduction="batchmean")
    return 0.9 * TEMPERATURE**2 * soft + 0.1 * F.cross_entropy(student, labels)


def still_life(folder: Path) -> Bench:
    """Return a job's inputs, loaded."""
    job = JobFile.model_validate_json((folder / "job.json").read_bytes())
    return Bench(folder, job, Reporter(folder / "events.jsonl"), StopSignal())


def tensors(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return all inputs and labels."""
    samples = bench.transfer_set.samples
    return samples.take(torch.arange(len(samples))), bench.transfer_set.labels_N


def job_rates(folders: list[Path]) -> list[float]:
    """Run the jobs at once, each in its own process; return each one's samples/s from the second epoch on."""
    command = [sys.executable, "-m", "worker.engine"]
    running = [subprocess.Popen([*command, str(folder)], stderr=subprocess.DEVNULL) for folder in folders]
    if any(process.wait() for process in running):
        sys.exit("a job of the benchmark failed")
    return [rate_of(folder) for folder in folders]


def rate_of(folder: Path) -> float:
    """Return the median rate that a job reported after its first epoch."""
    events = [ENGINE_EVENT.validate_json(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    rates = [event.metrics["samples_per_second"] for event in events if event.type == "step" and event.epoch > 1.2]
    return statistics.median(rates)


def seconds(epoch: Epoch) -> float:
    """Return how long an epoch takes."""
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def table(found: dict[str, Any]) -> str:
    """Return the numbers as lines."""
    rates = {f"{name} (samples/s)": f"{rate:,.0f}" for name, rate in found["samples_per_second"].items()}
    jobs = {f"{name} (samples/s)": f"{found[name]:,.0f}" for name in ("one_job", "two_jobs") if name in found}
    ratios = {name: f"{value:.2f}" for name, value in found.items() if name.endswith(("naive", "only", "over_one"))}
    return "\n".join(f"{name:40}{value:>12}" for name, value in (rates | jobs | ratios).items())


if __name__ == "__main__":
    main()
