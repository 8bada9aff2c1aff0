"""One method and a batch that it can learn from, for the tests that walk all of them. B = batch, C = classes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from app.contract.objectives import TERMS, Part, Term
from worker.engine import build
from worker.engine.batch import Batch, Position

HALFWAY = Position(5.0, 10.0)
METHODS: dict[str, type[Term]] = {term.model_fields["kind"].default: term for term in TERMS if not term.settled}
"""By kind; those that look into networks are tried on networks, in `test_taps`."""
PARTS: tuple[Part, ...] = ("all", "labelled", "unlabelled")


def example(kind: str, rows: int = 6, classes: int = 4, seed: int = 0, **settings: Any) -> tuple[Term, Batch]:
    """Return a term of weight 1 and a batch in float64; of three rows or more, the first and the last have no label."""
    draw = torch.Generator().manual_seed(seed)
    student_BC = torch.randn(rows, classes, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher_BC = 3 * torch.randn(rows, classes, generator=draw, dtype=torch.float64)
    labels_B = torch.randint(0, classes, (rows,), generator=draw)
    if rows > 2:
        labels_B[[0, -1]] = -1
    return METHODS[kind](**{"weight": 1.0, **settings}), whole(student_BC, teacher_BC, labels_B)


def whole(student_BC: Tensor, teacher_BC: Tensor | None, labels_B: Tensor) -> Batch:
    """Return a batch that is no part of a larger one."""
    return Batch(student_BC, teacher_BC, labels_B, len(labels_B), int((labels_B >= 0).sum()), HALFWAY)


def piece(batch: Batch, rows: Sequence[int] | Tensor) -> Batch:
    """Return these rows as a micro-batch of the whole."""
    rows_B = torch.as_tensor(rows)
    assert batch.teacher_BC is not None
    return replace(
        batch,
        student_BC=batch.student_BC[rows_B],
        teacher_BC=batch.teacher_BC[rows_B],
        labels_B=batch.labels_B[rows_B],
    )


def alone(batch: Batch, rows: Sequence[int] | Tensor) -> Batch:
    """Return these rows as a batch of their own."""
    found = piece(batch, rows)
    return replace(found, samples=len(found.labels_B), labelled=int((found.labels_B >= 0).sum()))


def scaled(batch: Batch, student: float, teacher: float) -> Batch:
    """Return the batch in float32 with larger or smaller logits."""
    assert batch.teacher_BC is not None
    student_BC = (batch.student_BC.detach() * student).float().requires_grad_()
    return replace(batch, student_BC=student_BC, teacher_BC=(batch.teacher_BC * teacher).float())


def loss(term: Term, batch: Batch) -> Tensor:
    """Return the term's share, times its weight."""
    value, _ = build.objective([term])(batch)
    return value


def gradient(value: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of the student's logits (B, C)."""
    (found,) = torch.autograd.grad(value, batch.student_BC)
    return found


def takes(kind: str, part: Part) -> bool:
    """Return whether a method can be kept to a part of the samples."""
    try:
        example(kind, on=part)
    except ValidationError:
        return False
    return True
