"""What is predicted of a sample: the laws of both kinds of units, against plain lists."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.data.units import Samplewise, Wordwise

COUNTS = st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=8)
"""For each sample, which of its words take part."""


def listed(taking: list[list[bool]]) -> list[list[int]]:
    """Return the numbers of each sample's words that take part."""
    numbers = iter(range(sum(map(len, taking))))
    return [[number for number, takes in [(next(numbers), takes) for takes in sample] if takes] for sample in taking]


def units_of(taking: list[list[bool]]) -> Wordwise:
    flat = torch.tensor([takes for sample in taking for takes in sample], dtype=torch.bool)
    return Wordwise(torch.tensor([*map(len, taking)]), flat)


@given(COUNTS, st.data())
def test_words_are_numbered_through_the_set(taking: list[list[bool]], data: st.DataObject) -> None:
    units, places = units_of(taking), st.integers(0, len(taking) - 1)
    rows = data.draw(st.lists(places, max_size=6))
    rows_B, numbers = torch.tensor(rows, dtype=torch.int64), listed(taking)
    assert units.of(rows_B).tolist() == [number for row in rows for number in numbers[row]]
    assert units.owners(rows_B).tolist() == [place for place, row in enumerate(rows) for _ in numbers[row]]
    said = torch.tensor([takes for row in rows for takes in taking[row]], dtype=torch.float32)[:, None]
    assert units.among(rows_B, said).tolist() == [[1.0]] * len(units.of(rows_B))


@given(COUNTS, st.data())
def test_a_part_of_the_set_is_numbered_anew(taking: list[list[bool]], data: st.DataObject) -> None:
    rows = sorted(data.draw(st.sets(st.integers(0, len(taking) - 1), min_size=1)))
    part, alone = units_of(taking).within(torch.tensor(rows)), units_of([taking[row] for row in rows])
    every = torch.arange(len(rows))
    assert torch.equal(part.of(every), alone.of(every))
    assert part.bounds(2) == alone.bounds(2)
    assert len(part) == len(alone)
    sizes = [len(taking[row]) for row in rows]
    assert part.bounds(1) == [sum(sizes[:place]) for place in range(len(sizes) + 1)]


def test_samples_are_units_of_their_own() -> None:
    units, rows_B = Samplewise(5), torch.tensor([3, 1])
    assert units.of(rows_B) is rows_B
    assert units.owners(rows_B).tolist() == [0, 1]
    assert units.among(rows_B, rows_B) is rows_B
    assert (len(units), units.bounds(2)) == (5, [0, 2, 4, 5])
    assert units.within(rows_B).bounds(2) == [0, 2]
