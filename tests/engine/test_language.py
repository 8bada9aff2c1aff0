"""Terms made for language models, where the generated suite does not reach."""

import pytest
import torch

from tests.engine.methods import example, gradient, loss, whole
from tests.engine.transcriptions import uld
from worker.engine.terms import pieces


@pytest.mark.parametrize(("student", "teacher"), [(4, 9), (9, 4), (2, 3)])
def test_uld_takes_networks_of_different_vocabularies(student: int, teacher: int) -> None:
    term, _ = example("uld", temperature=1.5)
    draw = torch.Generator().manual_seed(1)
    student_BC = torch.randn(5, student, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher_BC = torch.randn(5, teacher, generator=draw, dtype=torch.float64)
    batch = whole(student_BC, teacher_BC, torch.full((5,), -1))
    expected = uld(term, student_BC.tolist(), teacher_BC.tolist(), [])
    assert loss(term, batch).item() == pytest.approx(expected, rel=1e-9)


def test_uld_goes_by_probabilities_and_not_by_their_places() -> None:
    term, batch = example("uld")
    assert batch.teacher_BC is not None
    moved = whole(batch.teacher_BC.roll(1, 1).requires_grad_(), batch.teacher_BC, batch.labels_B)
    assert loss(term, moved).item() == pytest.approx(0, abs=1e-15)


def test_uld_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    term, batch = example("uld", 8)
    expected = loss(term, batch)
    expected_BC = gradient(expected, batch)
    monkeypatch.setattr(pieces, "AT_ONCE", 3 * 6 * 4)
    found = loss(term, batch)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, batch), expected_BC)
