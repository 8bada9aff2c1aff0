"""One method and a batch that it can learn from, for the tests that walk all of them.

B = batch, C = classes. A method of features gets one pair of taps of equal shape for each layout that its roles look
at, so that no adapter is needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from app.contract.architectures import Mlp
from app.contract.objectives import TERMS, FeatureTerm, Part, Term
from app.contract.taps import Layout
from worker.engine import build
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch, Position
from worker.engine.terms.classifiers import Classifiers
from worker.engine.terms.held import Held
from worker.engine.terms.joint import Joint, Setting
from worker.engine.terms.objective import Objective

HALFWAY = Position(5.0, 10.0)
METHODS: dict[str, type[Term]] = {term.model_fields["kind"].default: term for term in TERMS}
PARTS: tuple[Part, ...] = ("all", "labelled", "unlabelled")
SHAPES: dict[Layout, tuple[int, ...]] = {
    "map": (3, 4, 2), "tokens": (4, 3), "vector": (5,), "attention": (2, 4, 4), "qkv": (3, 2, 4, 3),
}  # fmt: skip
STILL: dict[str, dict[str, Any]] = {"mgd": {"masked": 0.0}, "tinybert": {"adapter": "none"}}
"""Of methods that draw at random, or adapt what is equally wide, settings under which they do not."""


def example(kind: str, rows: int = 6, classes: int = 4, seed: int = 0, **settings: Any) -> tuple[Term, Batch]:
    """Return a term of weight 1 and a batch in float64; of three rows or more, the first and the last have no label."""
    term = METHODS[kind](**{"weight": 1.0, **STILL.get(kind, {}), **settings})
    draw = torch.Generator().manual_seed(seed)
    student_BC = torch.randn(rows, classes, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher_BC = 3 * torch.randn(rows, classes, generator=draw, dtype=torch.float64)
    labels_B = torch.randint(0, classes, (rows,), generator=draw)
    if rows > 2:
        labels_B[[0, -1]] = -1
    batch = whole(student_BC, teacher_BC, labels_B)
    if isinstance(term, FeatureTerm):
        shapes = {layout: (rows, *SHAPES[layout]) for layout in sorted({*layouts_of(term).values()})}
        student, teacher = (
            {layout: torch.randn(shape, generator=draw, dtype=torch.float64) for layout, shape in shapes.items()}
            for _ in range(2)
        )
        for value in student.values():
            value.requires_grad_()
        batch = replace(batch, features=held(batch, student, teacher))
    return term, batch


def layouts_of(term: FeatureTerm) -> dict[str, Layout]:
    """Return the layout of the features that the examples of a term have, by its roles; taps are called by it."""
    return {role: min(term.layouts(role)) for role in term.roles()}


def whole(student_BC: Tensor, teacher_BC: Tensor | None, labels_B: Tensor) -> Batch:
    """Return a batch that is no part of a larger one."""
    return Batch(student_BC, teacher_BC, labels_B, len(labels_B), int((labels_B >= 0).sum()), HALFWAY)


def held(batch: Batch, student: Mapping[Layout, Tensor], teacher: Mapping[Layout, Tensor]) -> Held:
    """Return the features of a batch."""
    students: dict[str, Feature] = {layout: Feature(value, layout) for layout, value in student.items()}
    teachers: dict[tuple[int, str], Feature] = {
        (0, layout): Feature(value, layout) for layout, value in teacher.items()
    }
    rows_B = torch.arange(len(batch.labels_B))
    return Held(students, teachers, rows_B, batch.labels_B, batch.samples, batch.labelled)


def settled(term: Term, batch: Batch) -> Setting:
    """Return the setting of a term that has as few pairs of taps as it takes in each of its roles, all the same one."""
    if not isinstance(term, FeatureTerm):
        return setting({}, batch.student_BC.shape[1])
    held, joints, draw = batch.held, {}, torch.Generator().manual_seed(1)
    for role, layout in layouts_of(term).items():
        joint = Joint(held.teacher[0, layout].tap(layout), held.student[layout].tap(layout), 1.0 / term.fewest)
        joints[role] = (joint,) * term.fewest
    teacher = next(iter(held.teacher.values()))
    known = Feature(torch.randn(7, *teacher.value.shape[1:], generator=draw), teacher.layout)
    return setting(joints, batch.student_BC.shape[1], [known] * term.fewest)


def setting(
    joints: dict[str, tuple[Joint, ...]],
    classes: int = 2,
    known: Sequence[Feature] = (),
    peer: Callable[[], nn.Module] = nn.Identity,
) -> Setting:
    """Return a setting of 32 training samples of four classes; `known`: what the teachers hold, pair by pair."""
    family = Mlp(inputs=1, hidden=(5,), classes=classes)
    with torch.random.fork_rng(devices=()):
        head = family, build.network(family)
    return Setting(
        joints=joints,
        labels_N=torch.arange(32) % 4,
        rows_N=torch.arange(32),
        classes=classes,
        taught=lambda _: iter([[*known]]),
        peer=peer,
        classifiers=Classifiers(head, [head], [None]),
    )


def learnt(batch: Batch) -> tuple[Tensor, ...]:
    """Return what the student says, and what it holds: all that a loss has a gradient for."""
    return batch.student_BC, *(found.value for found in (batch.features.student.values() if batch.features else ()))


def taught(batch: Batch) -> tuple[Tensor, ...]:
    """Return what the teacher says, and what it holds."""
    assert batch.teacher_BC is not None
    return batch.teacher_BC, *(found.value for found in (batch.features.teacher.values() if batch.features else ()))


def rewritten(batch: Batch, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Batch:
    """Return the batch with these in place of what is learnt and taught."""
    batch = replace(batch, student_BC=student[0], teacher_BC=teacher[0])
    if batch.features is None:
        return batch
    found = batch.features
    students = {
        name: replace(old, value=new) for (name, old), new in zip(found.student.items(), student[1:], strict=True)
    }
    teachers = {
        name: replace(old, value=new) for (name, old), new in zip(found.teacher.items(), teacher[1:], strict=True)
    }
    return replace(batch, features=replace(found, student=students, teacher=teachers))


def _labelled(batch: Batch, labels_B: Tensor, rows_B: Tensor, samples: int, labelled: Tensor | int) -> Batch:
    batch = replace(batch, labels_B=labels_B, samples=samples, labelled=labelled)
    if batch.features is None:
        return batch
    features = replace(batch.features, labels_B=labels_B, rows_B=rows_B, samples=samples, labelled=labelled)
    return replace(batch, features=features)


def relabelled(batch: Batch, labels_B: Tensor) -> Batch:
    """Return the batch with other labels."""
    return _labelled(batch, labels_B, torch.arange(len(labels_B)), batch.samples, int((labels_B >= 0).sum()))


def piece(batch: Batch, rows: Sequence[int] | Tensor) -> Batch:
    """Return these rows as a micro-batch of the whole."""
    rows_B = torch.as_tensor(rows)
    found = rewritten(batch, *([value[rows_B] for value in values] for values in (learnt(batch), taught(batch))))
    return _labelled(found, batch.labels_B[rows_B], rows_B, batch.samples, batch.labelled)


def alone(batch: Batch, rows: Sequence[int] | Tensor) -> Batch:
    """Return these rows as a batch of their own."""
    found = piece(batch, rows)
    return _labelled(found, found.labels_B, torch.as_tensor(rows), len(rows), int((found.labels_B >= 0).sum()))


def scaled(batch: Batch, student: float, teacher: float) -> Batch:
    """Return the batch in float32 with larger or smaller numbers."""
    students = [(value.detach() * student).float().requires_grad_() for value in learnt(batch)]
    return rewritten(batch, students, [(value * teacher).float() for value in taught(batch)])


def loss(term: Term, batch: Batch) -> Tensor:
    """Return the term's share, times its weight."""
    # A peer says what the teacher says.
    value, _ = _objective(term, batch)(replace(batch, asked=lambda peer: peer(batch.teacher_BC)))
    return value


def weights(term: Term, batch: Batch) -> dict[str, Any]:
    """Return what the term's loss learns itself, or keeps, as nested lists."""
    (found,) = _objective(term, batch).losses.values()
    return {name: value.tolist() for name, value in found.state_dict().items()}


def _objective(term: Term, batch: Batch) -> Objective:
    """Return the objective; what it learns itself stands at the same values every time.

    In evaluation mode: batch norms of adapters would relate the samples of a batch to one another.
    """
    torch.manual_seed(0)
    settle: Callable[[Term], Setting] = lambda found: settled(found, batch)  # noqa: E731
    return build.objective([term], settle).to(batch.student_BC.dtype).eval()


def gradient(value: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of all that is learnt, side by side (B, ...)."""
    found = torch.autograd.grad(value, learnt(batch), allow_unused=True, materialize_grads=True)
    return torch.cat([one.flatten(1) for one in found], 1)


def takes(kind: str, part: Part) -> bool:
    """Return whether a method can be kept to a part of the samples."""
    try:
        example(kind, on=part)
    except ValidationError:
        return False
    return True
