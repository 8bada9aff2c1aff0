"""Lists of words as tokens: each word's first token is found, whatever the tokenizer makes of the words."""

import json
from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from app.contract.preprocessing import Tokenizer, Words
from tests.engine.tagged import bert, pieces, rows
from worker.engine import build
from worker.engine.networks import torchvision_operators
from worker.engine.views.encoding import WordReading

LISTS = [row["tokens"] for row in rows(12)]
CPU = torch.device("cpu")


def bytes_alone() -> Library:
    """Return a tokenizer like RoBERTa's: bytes, and spaces before words."""
    tokenizer = Library(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(words) for words in LISTS], trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return tokenizer


def pieces_of_sentences() -> Library:
    """Return a tokenizer like SentencePiece's: pieces that begin with a mark for the space."""
    tokenizer = Library(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<unk>", "<mask>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(words) for words in LISTS], trainer)
    return tokenizer


@pytest.mark.parametrize("make", [bytes_alone, pieces_of_sentences], ids=lambda make: make.__name__)
def test_words_in_a_list_are_read_as_in_their_sentence(make: Callable[[], Library]) -> None:
    content = json.loads(make().to_str())
    encoder = build.encoder(Tokenizer(content=content, mask="<mask>", max_tokens=64))
    for words, (numbers, firsts) in zip(LISTS, encoder.spell(LISTS), strict=True):
        # All that is lacking at the start of the sentence is its space.
        assert encoder.encode([" " + " ".join(words)]) == [numbers]
        assert len(firsts) == len(words)
        assert firsts == sorted(set(firsts))
        alone = [encoder.spell([[word]])[0] for word in words]
        assert [numbers[first] for first in firsts] == [found[place[0]] for found, place in alone]


def test_first_tokens_are_those_of_the_library() -> None:
    torchvision_operators.make_importable()
    from transformers import PreTrainedTokenizerFast

    settings = Tokenizer.model_validate(pieces(60, max_tokens=12))
    theirs = PreTrainedTokenizerFast(tokenizer_object=Library.from_str(json.dumps(settings.content)))
    for words, (numbers, firsts) in zip(LISTS, build.encoder(settings).spell(LISTS), strict=True):
        told = theirs(words, is_split_into_words=True, truncation=True, max_length=12)
        assert told["input_ids"] == numbers
        ids = told.word_ids()
        assert firsts == [ids.index(word) if word in ids else -1 for word in range(len(words))]


def test_words_of_which_nothing_is_left_have_no_token() -> None:
    numbers, firsts = build.encoder(Tokenizer.model_validate(pieces())).spell([["in", "\u200d", "Paris", "[MASK]"]])[0]
    assert firsts[1] == -1
    assert firsts[0] == 1
    assert firsts[3] == len(numbers) - 2


def test_a_vocabulary_of_words_reads_each_by_its_first() -> None:
    settings = Words(vocabulary=("<pad>", "<unk>", "in", "paris", "!"), max_tokens=5)
    assert build.encoder(settings).spell([["In", "Paris!", "[MASK]", "x y", "in"]]) == [
        ([2, 3, 4, 1, 1], [0, 1, 3, 4, -1])
    ]
    bare = Words(vocabulary=("in", "paris"), max_tokens=5)
    assert build.encoder(bare).spell([["In", "x", "paris"]]) == [([0, 0, 1], [0, 1, 2])]


def test_padding_and_company_change_nothing() -> None:
    torch.manual_seed(0)
    network = build.network(bert()).eval()
    read = WordReading(build.encoder(Tokenizer.model_validate(pieces())), CPU)
    with torch.inference_mode():
        together, alone = network(read(LISTS)), torch.cat([network(read([words])) for words in LISTS])
    assert together.shape == (sum(map(len, LISTS)), 4)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
