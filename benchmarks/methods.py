"""What a method costs: a training step with it beside soft targets, over a step with soft targets alone.

    python -m benchmarks.methods [--rounds 5] [--only rkd crd] [--json PATH]

It walks the catalogue. Methods that fit two networks of images are measured there (resnet14x2 to resnet8x2, 32 x 32,
batch 64), all others on texts (BERT 4 x 256 to 2 x 128, 64 tokens, batch 32). Both kinds of step take turns in one
process of one thread, from the second epoch on, when the teacher's outputs and features are read and not computed, as
far as they can be kept; medians of processor time are compared. Memory is the peak within a step of what torch's
allocator has handed out since it began: activations, gradients and all that lies between, without the libraries' own
scratch space. What a method keeps between steps (adapters, peers, memories) is told apart.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from app.contract.objectives import TERMS, SoftTarget, Term
from benchmarks.catalogue import fitting, kind_of, lessons
from benchmarks.pairs import IMAGES, STEPS, TEXTS, Pair
from worker.engine.run import TrainingRun

RESULTS = Path(__file__).with_name("results") / "method_costs.json"
MIB = 2**20
Costs = dict[str, dict[str, Any]]


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help=f"turns, of {STEPS} steps each way")
    parser.add_argument("--only", nargs="+", metavar="KIND", help="methods; by default all")
    parser.add_argument("--json", type=Path, default=RESULTS, help="the numbers; those of other methods stay there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # else the profiler tells whenever it starts and ends
    found: Costs = json.loads(options.json.read_text()) if options.json.exists() else {}
    for pair, terms in walk(options.only):
        for kind, cost in measure(pair, terms, options.rounds):
            found[kind] = cost
            write(options.json, found)
    print(table(found))


def walk(only: list[str] | None) -> Iterator[tuple[Pair, list[Term]]]:
    """Yield each pair of networks with the methods that are measured on it; say which fit none."""
    every = {method.model_fields["kind"].default for method in TERMS}
    wanted = every & set(only) if only else every
    for pair in (IMAGES, TEXTS):
        able = fitting(pair.teacher, pair.student, pair.shape)
        yield pair, [term for kind, term in able.items() if kind in wanted]
        wanted -= able.keys()
    if wanted:
        print(f"Neither networks of images nor of texts can have: {', '.join(sorted(wanted))}")


def measure(pair: Pair, terms: list[Term], rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each method's kind and what it costs."""
    with tempfile.TemporaryDirectory() as name:
        folder, alone = Path(name), SoftTarget()
        usual = pair.run(folder / "alone", lessons(alone, [], first_epochs=1))
        epoch(usual)
        least = peak(usual)
        for term in terms:
            kind = kind_of(term)
            run = pair.run(folder / kind, lessons(term, [alone], first_epochs=1))
            epoch(run)
            (seconds, seconds_alone), most = in_turns(run, usual, rounds), peak(run)
            yield (
                kind,
                {
                    "on": pair.name,
                    "milliseconds": round(1e3 * seconds / STEPS, 2),
                    "time": round(seconds / seconds_alone, 3),
                    "peak_mib": round(most / MIB, 1),
                    "memory": round(most / least, 3),
                    "kept_mib": round(kept(run) / MIB, 2),
                },
            )


def in_turns(run: TrainingRun, usual: TrainingRun, rounds: int) -> tuple[float, float]:
    """Return the median seconds of an epoch of both."""
    turns = [(epoch(run), epoch(usual)) for _ in range(rounds)]
    one, other = zip(*turns, strict=True)
    return statistics.median(one), statistics.median(other)


def epoch(run: TrainingRun) -> float:
    """Train for one more epoch, as a job does; return the seconds."""
    start = time.process_time()  # of one thread: what else the machine does only stretches the clock's
    run.train_epoch()
    run.state.epoch += 1
    return time.process_time() - start


def peak(run: TrainingRun) -> int:
    """Return the most bytes that tensors have at once in an epoch beyond those that are there before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        epoch(run)
    assert profiled.profiler is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    most = now = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def kept(run: TrainingRun) -> int:
    """Return the bytes of what the losses hold between steps, the optimiser's share of it left out."""
    return sum(tensor.numel() * tensor.element_size() for tensor in run.objective.state_dict().values())


def write(path: Path, found: Costs) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [f"{json.dumps(kind)}: {json.dumps(cost)}" for kind, cost in sorted(found.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def table(found: Costs) -> str:
    """Return the methods as a table in Markdown, the cheapest first."""
    heads = "| beside soft targets | on | time | memory | kept, MiB |\n|---|---|---|---|---|"
    ranked = sorted(found.items(), key=lambda entry: (entry[1]["on"], entry[1]["time"]))
    rows = [
        f"| `{kind}` | {cost['on']} | {cost['time']:.2f} | {cost['memory']:.2f} | {cost['kept_mib'] or '-'} |"
        for kind, cost in ranked
    ]
    return "\n".join([heads, *rows])


if __name__ == "__main__":
    main()
