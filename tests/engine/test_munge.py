"""MUNGE: the neighbours are the nearest, and what is swapped is an attribute of theirs."""

import pytest
import torch

from app.contract.augmentations import Munge
from app.contract.views import Fresh
from worker.engine.data.attributes import attributes_of
from worker.engine.data.samples import ArraySamples, Samples
from worker.engine.data.table_encoding import Rule
from worker.engine.data.table_samples import TableSamples
from worker.engine.views import neighbours
from worker.engine.views.augmented import Views
from worker.engine.views.neighbours import Neighbours

RULES = (Rule("a", 0, 1, nominal=False), Rule("b", 1, 4, nominal=True), Rule("c", 4, 5, nominal=True))
DRAW = torch.Generator().manual_seed(0)
ONE_HOT = torch.eye(3)[torch.randint(3, (400,), generator=DRAW)]
TABLE = torch.cat(
    [7 * torch.randn(400, 1, generator=DRAW), ONE_HOT, torch.randint(2, (400, 1), generator=DRAW).float()], 1
)
SAMPLES = TableSamples(TABLE, RULES)
ROWS = torch.arange(400)
TRAINING = torch.arange(0, 400, 2)


def nearest(samples: Samples, training: torch.Tensor) -> torch.Tensor:
    return Neighbours(samples, attributes_of(samples), training).of(torch.arange(len(samples)))


def munged(step: Munge, samples: Samples = SAMPLES, number: int = 1) -> torch.Tensor:
    raw = Views(samples, (step,), Fresh(), 3, TRAINING).look(torch.arange(len(samples)), number).raw
    assert isinstance(raw, torch.Tensor)
    return raw


def test_neighbours_are_the_nearest_training_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_QUERIES", 37)
    monkeypatch.setattr(neighbours, "_REFERENCES", 53)
    values = 1000 + torch.randn(300, 2, 3, generator=DRAW) * torch.tensor([1.0, 10.0, 100.0])
    training = torch.randperm(300, generator=DRAW)[:200].sort().values
    scaled = values.flatten(1).double() / values[training].flatten(1).double().std(0, correction=0)
    far = torch.cdist(scaled, scaled[training])
    far[torch.arange(300)[:, None] == training] = torch.inf
    assert torch.equal(nearest(ArraySamples(values), training), training[far.argmin(1)])


def test_other_categories_count_one_and_numbers_their_deviations() -> None:
    values = torch.tensor([[0.0, 1, 0, 0, 0], [1.2, 1, 0, 0, 0], [0, 0, 1, 0, 0], [-1.2, 0, 0, 1, 1]])
    deviation = float(values[:, 0].std(correction=0))
    assert 1.2 / deviation > 1
    assert nearest(TableSamples(values, RULES), torch.arange(4))[0] == 2
    assert nearest(TableSamples(values * torch.tensor([1, 1, 1, 1, 0]), RULES), torch.arange(3)).tolist()[0] == 2


@pytest.mark.parametrize("count", [1, 2, 30])
def test_equally_near_ones_are_taken_in_their_order(count: int) -> None:
    found = nearest(ArraySamples(torch.ones(count, 2)), torch.arange(count))
    assert found.tolist() == [min(1, count - 1), *[0] * (count - 1)]


def test_equals_are_told_apart_by_nothing_but_their_order() -> None:
    twice = torch.randn(50, 7, generator=DRAW).repeat(2, 1) * 300
    found = nearest(ArraySamples(twice), torch.arange(100))
    assert torch.equal(found, torch.cat([torch.arange(50, 100), torch.arange(50)]))
    names = torch.eye(40).repeat(3, 1)
    alike = nearest(TableSamples(names, [Rule("a", 0, 40, nominal=True)]), torch.arange(1, 120))
    assert alike[0] == 40
    assert (
        nearest(TableSamples(names[:40], [Rule("a", 0, 40, nominal=True)]), torch.arange(40)).tolist() == [1] + [0] * 39
    )


def test_a_category_is_the_neighbours_or_ones_own_and_whole() -> None:
    near = TABLE[nearest(SAMPLES, TRAINING)]
    found = munged(Munge(probability=0.5))
    own, theirs = ((found[:, 1:4] == other[:, 1:4]).all(1) for other in (TABLE, near))
    assert (own | theirs).all()
    differ = (TABLE[:, 1:4] != near[:, 1:4]).any(1)
    assert differ.any()
    assert (found[:, 1:4].sum(1) == 1).all()
    alone = (TABLE[:, 4] == found[:, 4]) | (near[:, 4] == found[:, 4])
    assert alone.all()


@pytest.mark.parametrize("probability", [0.2, 0.5, 1.0])
def test_attributes_are_swapped_as_often_as_asked(probability: float) -> None:
    step = Munge(probability=probability)
    swapped = torch.cat([munged(step, number=number)[:, 0] != TABLE[:, 0] for number in range(1, 11)])
    assert abs(float(swapped.float().mean()) - probability) < 0.04


@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_numbers_are_drawn_around_the_neighbours(spread: float) -> None:
    near = TABLE[nearest(SAMPLES, TRAINING)][:, 0]
    step = Munge(probability=1.0, spread=spread)
    apart = (TABLE[:, 0] - near).abs()
    drawn = torch.cat([(munged(step, number=number)[:, 0] - near) / apart for number in range(1, 21)])
    drawn = drawn[drawn.isfinite()]
    assert abs(float(drawn.mean())) < 0.05 / spread
    assert float(drawn.std()) == pytest.approx(1 / spread, rel=0.05)


def test_whether_a_value_is_swapped_says_nothing_of_its_draw() -> None:
    near = TABLE[nearest(SAMPLES, TRAINING)][:, 0]
    apart = (TABLE[:, 0] - near).abs()
    for probability in (0.1, 0.9):
        found = torch.cat([munged(Munge(probability=probability), number=number)[:, 0] for number in range(1, 41)])
        drawn = ((found - near.repeat(40)) / apart.repeat(40))[found != TABLE[:, 0].repeat(40)]
        assert float(drawn.std()) == pytest.approx(1, rel=0.1)


def test_arrays_are_swapped_value_by_value() -> None:
    values = torch.randn(400, 2, 3, generator=DRAW)
    found = munged(Munge(), ArraySamples(values))
    assert found.shape == values.shape
    kept = (found == values).flatten(1).float().mean(1)
    assert 0.3 < float(kept.mean()) < 0.7
    assert float(kept.std()) > 0


def test_pictures_are_no_tables() -> None:
    assert "takes array samples, and these are image" in (Munge().refuses("image", (3, 8, 8)) or "")
    assert Munge().refuses("array", (5,)) is None
