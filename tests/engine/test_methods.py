"""What holds for every method, whoever adds it: the list of them is the contract's own. B = batch, C = classes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.objectives import Part, Term
from tests.engine.methods import (
    METHODS,
    PARTS,
    alone,
    example,
    gradient,
    learnt,
    loss,
    piece,
    relabelled,
    rewritten,
    scaled,
    takes,
    taught,
    weights,
)
from tests.engine.transcriptions import TRANSCRIPTIONS
from worker.engine.teachers.top_k import top_k
from worker.engine.terms.batch import Batch
from worker.engine.views.augmented import Blend

every_method = pytest.mark.parametrize("kind", METHODS)
every_part = pytest.mark.parametrize(
    ("kind", "part"), [(kind, part) for kind in METHODS for part in PARTS if takes(kind, part)]
)
SETTINGS = [(kind, more) for kind, found in TRANSCRIPTIONS.items() for more in ({}, *found.settings)]


def numbers(batch: Batch) -> tuple[list[Any], list[Any], list[int]]:
    """Return what a formula is about: the outputs of student and teacher, or their features, and the labels.

    Of several layouts a list, in the order of their names.
    """
    student, teacher = ([value.tolist() for value in values[1:] or values] for values in (learnt(batch), taught(batch)))
    one = len(student) == 1
    return student[0] if one else student, teacher[0] if one else teacher, batch.labels_B.tolist()


def transcribed(term: Term, batch: Batch) -> float:
    """Return the value that the paper's formula has."""
    transcription = TRANSCRIPTIONS[term.model_dump()["kind"]]
    own = (weights(term, batch),) if transcription.learns else ()
    return transcription.formula(term, *numbers(batch), *own)


def test_every_method_is_transcribed() -> None:
    assert TRANSCRIPTIONS.keys() == METHODS.keys()


@pytest.mark.parametrize(("kind", "more"), SETTINGS)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_value_is_the_papers_formula(kind: str, more: dict[str, object], classes: int) -> None:
    term, batch = example(kind, 5, classes, **more)
    if not term.refuses_classes(classes):
        expected = transcribed(term, batch)
        assert loss(term, batch).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("kind", "more"), SETTINGS)
def test_a_student_like_its_teacher_has_nothing_to_learn(kind: str, more: dict[str, object]) -> None:
    """Where the paper's formula is 0 then; methods of labels want something else."""
    term, batch = example(kind, **more)
    same = rewritten(batch, [value.clone().requires_grad_() for value in taught(batch)], taught(batch))
    expected, found = transcribed(term, same), loss(term, same)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if abs(expected) < 1e-9:
        assert gradient(found, same).abs().max() < 1e-12
        assert loss(term, batch) > 1e-3


@pytest.mark.parametrize(("kind", "more"), SETTINGS)
def test_gradients_agree_with_finite_differences(kind: str, more: dict[str, object]) -> None:
    term, batch = example(kind, 4, **{**more, "weight": 0.7})
    assert torch.autograd.gradcheck(lambda *s: loss(term, rewritten(batch, s, taught(batch))), learnt(batch))


@every_part
def test_the_order_of_the_batch_is_nothing(kind: str, part: Part) -> None:
    term, batch = example(kind, on=part)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    found, ordered = loss(term, batch), loss(term, piece(batch, order))
    torch.testing.assert_close(ordered, found)
    torch.testing.assert_close(gradient(ordered, batch), gradient(found, batch))


@every_method
def test_what_both_networks_say_stays_what_it_is(kind: str) -> None:
    term, batch = example(kind)
    before = [value.clone() for value in (*taught(batch), *learnt(batch))]
    gradient(loss(term, batch), batch)
    assert all(torch.equal(value, old) for value, old in zip((*taught(batch), *learnt(batch)), before, strict=True))
    assert not any(value.requires_grad for value in taught(batch))


@every_method
@settings(max_examples=40, deadline=None)
@given(
    student=st.sampled_from([0.0, 1e-6, 1.0, 1e2, 1e4, 1e6]),
    teacher=st.sampled_from([0.0, 1.0, 1e2, 1e6]),
    seed=st.integers(0, 99),
    classes=st.sampled_from([2, 3, 5]),
    rows=st.sampled_from([1, 2, 4]),
)
def test_finite_at_saturation(kind: str, student: float, teacher: float, seed: int, classes: int, rows: int) -> None:
    term, batch = example(kind, rows, classes, seed)
    if term.refuses_classes(classes):
        return
    batch = scaled(batch, student, teacher)
    found = loss(term, batch)
    assert torch.isfinite(found)
    assert torch.isfinite(gradient(found, batch)).all()


@every_part
def test_a_method_on_a_part_is_the_method_on_that_part_alone(kind: str, part: Part) -> None:
    term, batch = example(kind, on=part)
    rows = [row for row in range(6) if term.part == "all" or (batch.labels_B[row] >= 0) == (term.part == "labelled")]
    found, expected = loss(term, batch), loss(term, alone(batch, rows))
    torch.testing.assert_close(found, expected)
    # So the other rows are not moved: `expected` has never seen them.
    torch.testing.assert_close(gradient(found, batch), gradient(expected, batch))


@every_part
def test_a_batch_without_any_of_its_samples_costs_nothing_and_moves_nothing(kind: str, part: Part) -> None:
    term, batch = example(kind, on=part)
    if term.part != "all":
        batch = alone(batch, [0, 5] if term.part == "labelled" else [1, 2])
        found = loss(term, batch)
        assert found.item() == 0
        assert not gradient(found, batch).any()


@every_part
@pytest.mark.parametrize("parts", [1, 2, 3, 8])
def test_shares_of_micro_batches_add_up(kind: str, part: Part, parts: int) -> None:
    """To the value of the whole batch; of relational methods, to the mean over micro-batches by their sizes."""
    term, batch = example(kind, 8, on=part)
    pieces = torch.arange(8).tensor_split(parts)
    total = torch.stack([loss(term, piece(batch, rows)) for rows in pieces]).sum()
    expected = loss(term, batch)
    if term.relational:
        expected = torch.stack([loss(term, alone(batch, rows)) * (len(rows) / 8) for rows in pieces]).sum()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(gradient(total, batch), gradient(expected, batch))


@every_method
def test_relations_are_between_all_samples_of_a_batch(kind: str) -> None:
    if METHODS[kind].relational:
        assert not takes(kind, "labelled")
        assert not takes(kind, "unlabelled")


@every_method
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_mixed_sample_goes_from_one_label_to_the_other(kind: str, share: float) -> None:
    term, batch = example(kind, on="all")
    first_B, second_B = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([3, 2, 1, 0, 3, 2])
    batch = relabelled(batch, first_B)
    mixed = replace(batch, blend=Blend(second_B, torch.full((6,), share, dtype=torch.float64)))
    plain = relabelled(batch, first_B if share else second_B)
    torch.testing.assert_close(loss(term, mixed), loss(term, plain))


@pytest.mark.parametrize("kind", [kind for kind, method in METHODS.items() if method.coarse])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_tail_of_one_class_loses_nothing(kind: str, temperature: float) -> None:
    term, batch = example(kind, temperature=temperature)
    assert batch.teacher_BC is not None
    kept = replace(batch, teacher_BC=None, top=top_k(batch.teacher_BC, 3))
    found, expected = loss(term, kept), loss(term, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient(found, batch), gradient(expected, batch), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind, method in METHODS.items() if method.coarse])
@pytest.mark.parametrize("scale", [0.0, 1e2, 1e4])
def test_a_tail_stays_finite_at_saturation(kind: str, scale: float) -> None:
    term, batch = example(kind, classes=50)
    batch = scaled(batch, scale, scale)
    assert batch.teacher_BC is not None
    found = loss(term, replace(batch, teacher_BC=None, top=top_k(batch.teacher_BC, 8)))
    assert torch.isfinite(found)
    assert torch.isfinite(gradient(found, batch)).all()
