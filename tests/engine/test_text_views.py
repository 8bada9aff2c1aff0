"""Views of texts: Tang et al. 2019, each word and each text by draws of its own."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from app.contract.augmentations import AUGMENTATIONS, Augmentation, AugmentationStep, Mask, Ngram, SamePartOfSpeech
from app.contract.events import Run
from app.contract.views import Fixed, Fresh
from tests.engine.folders import ROOT
from tests.engine.texts import make_text_job, pieces, sentences
from worker.engine.bench import Bench
from worker.engine.data.samples import TextSamples, Tokens
from worker.engine.data.word_pieces import taken_apart
from worker.engine.views.augmented import Views

TEXTS = sentences(40)[0]
EXAMPLES: dict[type[Augmentation], AugmentationStep] = {
    Mask: Mask(probability=0.3),
    SamePartOfSpeech: SamePartOfSpeech(probability=0.5),
    Ngram: Ngram(probability=0.5),
}
LayOut = Callable[[Path], Bench]


def seen(
    *steps: AugmentationStep, texts: list[str] = TEXTS, rows: list[int] | None = None, number: int = 1
) -> list[str]:
    made = Views(TextSamples(texts), steps, Fresh(), 7, torch.arange(len(texts)))
    raw = made.look(torch.tensor(rows if rows is not None else range(len(texts))), number).raw
    assert isinstance(raw, list)
    return raw


def test_every_augmentation_of_texts_is_tried_below() -> None:
    assert set(EXAMPLES) == {step for step in AUGMENTATIONS if "text" in step.takes}


@pytest.mark.parametrize("steps", [*[(step,) for step in EXAMPLES.values()], tuple(EXAMPLES.values())])
def test_a_view_is_a_function_of_seed_sample_and_number(steps: tuple[AugmentationStep, ...]) -> None:
    whole = seen(*steps)
    assert seen(*steps, rows=[7, 3]) == [whole[7], whole[3]]
    assert seen(*steps, number=2) != whole != TEXTS
    assert len(whole) == len(TEXTS)
    assert all(text.strip() for text in whole)


def test_a_text_can_be_put_together_again() -> None:
    for text in ["", "?!", " Don't  stop,\n[MASK] me-now ", "naïve 3.5"]:
        assert "".join(taken_apart(text)) == text
    assert taken_apart("Don't [MASK]!")[1::2] == ["Don't", "[MASK]"]


def test_about_as_many_words_are_masked_as_should_be() -> None:
    found = seen(Mask(probability=0.2))
    words = sum(len(taken_apart(text)) // 2 for text in TEXTS)
    assert 0.13 < sum(text.count("[MASK]") for text in found) / words < 0.27
    for text, view in zip(TEXTS, found, strict=True):
        pattern = re.escape(view).replace(re.escape("[MASK]"), r"\w+")
        assert re.fullmatch(pattern, text)


def test_an_ngram_is_a_run_of_words() -> None:
    lengths = Counter()
    for number in range(1, 21):
        for text, view in zip(TEXTS, seen(Ngram(probability=0.4), number=number), strict=True):
            assert view in text
            if view != text:
                assert re.fullmatch(r"\w.*\w|\w", view)
                lengths[len(view.split())] += 1
    assert set(lengths) == {1, 2, 3, 4, 5}
    assert 0.3 < lengths.total() / 800 < 0.5
    assert min(lengths.values()) > 30
    assert seen(Ngram(probability=1, shortest=2, longest=2), texts=["just a test", "one"])[1] == "one"


def test_words_are_replaced_by_others_of_their_kind() -> None:
    training = ["the dog and the cat barked", "a dog and a dog walked", "quickly"]
    found = [seen(SamePartOfSpeech(probability=1), texts=training, number=number)[0] for number in range(1, 201)]
    columns = list(zip(*[view.split() for view in found], strict=True))
    assert set(columns[0]) == {"the", "a"}
    assert set(columns[2]) == {"and"}
    nouns = Counter(columns[1])
    assert set(nouns) == {"dog", "cat"}
    assert 0.6 < nouns["dog"] / 200 < 0.9  # three of four nouns
    assert set(columns[5]) == {"barked", "walked"}


def test_masked_words_stay_masked() -> None:
    masked = seen(Mask(probability=0.3))
    both = seen(Mask(probability=0.3), SamePartOfSpeech(probability=1))
    assert both != masked
    for one, other in zip(masked, both, strict=True):
        places = [place for place, word in enumerate(taken_apart(one)[1::2]) if word == "[MASK]"]
        assert places == [place for place, word in enumerate(taken_apart(other)[1::2]) if word == "[MASK]"]


def test_only_the_training_part_is_drawn_from() -> None:
    made = Views(
        TextSamples(["the dog", "the zebra"]), [SamePartOfSpeech(probability=1)], Fresh(), 0, torch.tensor([0])
    )
    assert made.look(torch.tensor([1]), 1).raw == ["the dog"]


def test_words_that_the_training_part_does_not_know_stay() -> None:
    made = Views(
        TextSamples(["the dog", "zebras ran"]), [SamePartOfSpeech(probability=1)], Fresh(), 0, torch.tensor([0])
    )
    assert made.look(torch.tensor([1]), 1).raw == ["zebras ran"]


def test_the_tagger_needs_nothing_but_its_package(tmp_path: Path) -> None:
    code = "from worker.engine.augmentations.same_part_of_speech import _tags; print(_tags(['the', 'dog', 'ran']))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        cwd=ROOT,
        env={"HOME": str(tmp_path), "NLTK_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("['DT', 'NN', 'VBD']", "")


def test_a_range_of_lengths_is_in_order() -> None:
    with pytest.raises(ValidationError, match="must not be greater"):
        Ngram(shortest=3, longest=2)


@pytest.mark.parametrize(("wanted", "views_seen"), [(Fresh(), 4), (Fixed(count=2), 2)])
def test_teacher_and_student_see_the_same_words_each_in_its_own_numbers(
    tmp_path: Path, lay_out: LayOut, wanted: Fresh | Fixed, views_seen: int
) -> None:
    steps = [step.model_dump() for step in EXAMPLES.values()]
    spec = {"augmentation": steps, "views": wanted.model_dump(), "control": False}
    words = {"kind": "words"}
    training = {"epochs": 4}
    folder = make_text_job(tmp_path, read_by_teacher=pieces(), read_by_student=words, spec=spec, training=training)
    bench = lay_out(folder)
    looked: list[int] = []
    bench.teachers[0].network.register_forward_hook(lambda _module, inputs, _output: looked.append(len(inputs[0])))
    bench.training_run(bench.lessons(Run.STUDENT)[-1]).train()
    assert sum(looked) == views_seen * 108 + 12
    look = bench.views.look(torch.tensor([5, 9]), 1)
    taught, learnt = bench.teacher_sights[0].of(look), bench.student_sight.of(look)
    assert isinstance(taught, Tokens)
    assert isinstance(learnt, Tokens)
    assert not torch.equal(taught.lengths_B, learnt.lengths_B)  # [CLS] and [SEP], at least
