"""Entities in tags, counted as seqeval and conlleval count them."""

import pytest
import torch

from worker.engine.report.entity_scores import entities, entity_scores, names_entities

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.mark.parametrize(
    ("tags", "owners", "found"),
    [
        ("O B-PER I-PER O", "0000", {(1, 3, "PER")}),
        ("B-PER B-PER I-PER", "000", {(0, 1, "PER"), (1, 3, "PER")}),
        ("B-PER I-LOC I-LOC", "000", {(0, 1, "PER"), (1, 3, "LOC")}),
        ("O I-PER I-PER", "000", {(1, 3, "PER")}),
        ("B-PER I-PER", "01", {(0, 1, "PER"), (1, 2, "PER")}),
        ("I-PER O I-PER", "000", {(0, 1, "PER"), (2, 3, "PER")}),
        ("O O", "00", set()),
    ],
)
def test_where_entities_begin_and_end(tags: str, owners: str, found: set[tuple[int, int, str]]) -> None:
    assert entities(tags.split(), [*map(int, owners)]) == found


def test_scores_by_hand() -> None:
    true = torch.tensor([1, 2, 0, 3, 0, 1])  # PER(0, 2), LOC(3, 4), PER(5, 6)
    guessed = torch.tensor([1, 2, 0, 1, 3, 1])  # PER(0, 2), PER(3, 4), LOC(4, 5), PER(5, 6)
    found = entity_scores(guessed, true, torch.tensor([0, 0, 0, 0, 0, 1]), NAMES)
    assert (found.precision, found.recall, found.f1) == (2 / 4, 2 / 3, pytest.approx(4 / 7))
    nothing = entity_scores(torch.zeros(6).long(), torch.zeros(6).long(), torch.zeros(6), NAMES)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)


@pytest.mark.parametrize(
    ("names", "are"), [(NAMES, True), (("O",), False), (("NOUN", "VERB"), False), ((), False), (("O", "PER"), False)]
)
def test_which_classes_mark_entities(names: tuple[str, ...], are: bool) -> None:
    assert names_entities(names) is are
