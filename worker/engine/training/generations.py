"""Born-again networks (Furlanello et al. 2018, arXiv:1805.04770): each generation teaches the next."""

import copy
import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from app.contract.job_file import TeacherInput
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.inputs import StoredNetwork
from worker.engine.networks import blueprint
from worker.engine.state import Tensors
from worker.engine.training.seeds import seed_from


def seed_of(seed: int, generation: int) -> int:
    """Return a generation's seed; the first has the job's own."""
    if generation == 1:
        return seed
    return seed_from(f"generation {seed} {generation}")


def taught_by(bench: Bench, weights: Tensors, generation: int) -> Bench:
    """Return the bench of a generation whose teacher is the one before, of these weights.

    It is that of a job with the generation's seed and the last student as its teacher: a frozen network of its own,
    never the object that was trained.
    """
    job, student = bench.job, bench.job.student
    network = build.network(student.architecture)
    network.load_state_dict(weights)
    stored = StoredNetwork(
        network.to(bench.device), _digest(weights), blueprint.size(student.architecture), _bytes(weights.values())
    )
    teacher = TeacherInput(
        sha256=stored.sha256,
        architecture=student.architecture,
        preprocessing=bench.preparation.of_student,
        class_names=bench.transfer_set.class_names,
    )
    # A single teacher, whatever the spec's were: an ensemble of one is combined like any.
    spec = job.spec.model_copy(update={"seed": seed_of(job.spec.seed, generation), "generations": 1})
    following = copy.copy(bench)
    for worked_out in ("targets", "views", "plan"):
        following.__dict__.pop(worked_out, None)
    following.looks = bench.looks.with_name(f"looks-{generation}.json")
    following.job = job.model_copy(update={"teachers": (teacher,), "spec": spec})
    following.teachers, following.teacher_sights, following.class_orders = [stored], [bench.student_sight], [None]
    return following


def _digest(weights: Tensors) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
