"""Texts as networks read them: words, tokenizers, and padding that changes nothing."""

import json
import random
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from app.contract.architectures import Family, Lstm, Textcnn
from app.contract.preprocessing import Tokenizer, Words
from tests.engine.texts import wordpieces
from worker.engine import build
from worker.engine.data.samples import TextSamples, Tokens
from worker.engine.failures import Refused
from worker.engine.preprocessing import words
from worker.engine.views.encoding import Reading

CPU = torch.device("cpu")
TEXTS = ["The cat sat. The END", "the dog, the cat!", "Dog?"]
NETWORKS: list[Family] = [
    Lstm(inputs=5, hidden=4, layers=2, classes=3, vocabulary=30, bidirectional=both, pooling=pooling)
    for both in (False, True)
    for pooling in ("last", "mean", "max")
] + [Textcnn(vocabulary=30, embedding=5, filters=6, widths=(1, 3, 4), classes=3, dropout=0.0)]


def encode(settings: Words | Tokenizer, *texts: str) -> list[list[int]]:
    return build.encoder(settings).encode(texts)


def test_the_commonest_words_of_the_training_part_are_numbered_first() -> None:
    settings = words.learnt(Words(), TEXTS, 8)
    assert settings.vocabulary == ("<pad>", "<unk>", "the", ".", ",", "cat", "dog", "!")[:3] + settings.vocabulary[3:]
    assert settings.vocabulary[:5] == ("<pad>", "<unk>", "the", "cat", "dog")
    assert len(settings.vocabulary) == 8
    assert encode(settings, "The cat flew") == [[2, 3, 1]]
    assert words.learnt(Words(vocabulary_size=4), TEXTS, 8).vocabulary == ("<pad>", "<unk>", "the", "cat")
    assert words.learnt(Words(min_count=2), TEXTS, 100).vocabulary == ("<pad>", "<unk>", "the", "cat", "dog")


def test_case_and_pattern_are_the_users() -> None:
    settings = Words(lower_case=False, pattern=r"\S+", vocabulary=("The", "the", "cat!"))
    assert encode(settings, "The cat! the THE") == [[0, 2, 1]]  # without an unknown word, others are left out
    grouped = Words(pattern=r"(c)(a)t|z*", vocabulary=("cat", "zz"))
    assert encode(grouped, "cat zz dog") == [[0, 1]]


def test_long_texts_are_cut() -> None:
    settings = Words(vocabulary=("a", "b"), max_tokens=3)
    assert encode(settings, "x a b a b", "b") == [[0, 1, 0], [1]]


def test_a_masked_word_is_an_unknown_one() -> None:
    settings = Words(vocabulary=("[pad]", "[unk]", "a"), padding="[pad]", unknown="[unk]")
    assert encode(settings, "a [MASK] a", "[MASK]") == [[2, 1, 2], [1]]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": "a{99999999999999}"}, "not a regular expression"),
        ({"vocabulary": ["a", "a"]}, "holds a word twice"),
        ({"vocabulary": ["a"], "min_count": 2}, "leave them out"),
        ({"padding": "x", "unknown": "x"}, "different words"),
    ],
)
def test_words_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Words(**settings)


def test_a_tokenizer_does_what_its_library_does() -> None:
    library = wordpieces(TEXTS)
    content = json.loads(library.to_str())
    assert Tokenizer(content=content).tokens() == library.get_vocab_size()
    assert encode(Tokenizer(content=content), *TEXTS) == [library.encode(text).ids for text in TEXTS]
    cut = encode(Tokenizer(content=content, max_tokens=4), TEXTS[0])[0]
    assert len(cut) == 4
    assert (cut[0], cut[-1]) == (library.token_to_id("[CLS]"), library.token_to_id("[SEP]"))


def test_a_mask_is_the_tokenizers_own() -> None:
    library = wordpieces(TEXTS, mask="<mask>")
    settings = Tokenizer(content=json.loads(library.to_str()), mask="<mask>")
    assert encode(settings, "the [MASK]") == [library.encode("the <mask>").ids]
    assert library.token_to_id("<mask>") in encode(settings, "the [MASK]")[0]


@pytest.mark.parametrize("content", [{}, {"model": {}}, {"model": {"vocab": {}}}, {"model": {"vocab": 3}}])
def test_another_json_is_no_tokenizer(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"not the content of a tokenizer\.json"):
        Tokenizer(content=content)


def test_a_tokenizer_that_the_library_refuses() -> None:
    content = {"model": {"type": "Magic", "vocab": {"a": 0}}}
    with pytest.raises(Refused, match="The tokenizer cannot be used"):
        build.encoder(Tokenizer(content=content))


def read(texts: list[str]) -> tuple[Reading, Tokens]:
    settings = words.learnt(Words(), TEXTS, 30)
    reading = Reading(build.encoder(settings), CPU)
    return reading, reading(texts)


def test_a_batch_is_padded_to_its_longest_text() -> None:
    reading, tokens = read(TEXTS)
    assert tokens.ids_BL.shape == (3, 6)
    assert tokens.lengths_B.tolist() == [6, 6, 2]
    assert tokens.mask_BL.sum(1).tolist() == [6, 6, 2]
    assert tokens.padded
    assert (tokens.ids_BL[~tokens.mask_BL] == 0).all()
    resident = reading.of_set(TextSamples(TEXTS)).take(torch.tensor([2, 0]))
    assert torch.equal(resident.ids_BL, tokens.ids_BL[[2, 0]])
    assert not reading(TEXTS[:2]).padded


def test_a_text_without_a_word_is_read_as_one_piece_of_padding() -> None:
    settings = Words(vocabulary=("a", "b", "<pad>"))
    tokens = Reading(build.encoder(settings), CPU)(["?!", "a b"])
    assert tokens.ids_BL.tolist() == [[2, 2], [0, 1]]
    assert tokens.mask_BL.tolist() == [[True, False], [True, True]]


def ragged(*lengths: int) -> Tokens:
    draw = random.Random(0)
    mask_BL = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = [[draw.randrange(30) for _ in range(max(lengths))] for _ in lengths]
    return Tokens(torch.tensor(ids), mask_BL, torch.tensor(lengths))


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda it: f"{it.kind} {getattr(it, 'pooling', '')}")
def test_padding_changes_neither_outputs_nor_gradients(architecture: Family) -> None:
    torch.manual_seed(0)
    network, tokens = build.network(architecture), ragged(7, 1, 3, 6)
    other = torch.where(tokens.mask_BL, tokens.ids_BL, 29)
    whole = outputs_and_gradients(network, [tokens])
    for batches in (
        [Tokens(other, tokens.mask_BL, tokens.lengths_B)],
        [alone(tokens, row) for row in range(4)],
        [wider(tokens)],
    ):
        for found, expected in zip(outputs_and_gradients(network, batches), whole, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def alone(tokens: Tokens, row: int) -> Tokens:
    length = int(tokens.lengths_B[row])
    ids_BL = tokens.ids_BL[row : row + 1, :length]
    return Tokens(ids_BL, torch.ones_like(ids_BL, dtype=torch.bool), tokens.lengths_B[row : row + 1])


def wider(tokens: Tokens) -> Tokens:
    padding = torch.full((len(tokens), 5), 7)
    mask_BL = torch.cat([tokens.mask_BL, torch.zeros(len(tokens), 5, dtype=torch.bool)], 1)
    return Tokens(torch.cat([tokens.ids_BL, padding], 1), mask_BL, tokens.lengths_B)


def outputs_and_gradients(network: nn.Module, batches: list[Tokens]) -> list[torch.Tensor]:
    network.zero_grad()
    outputs = torch.cat([network(tokens) for tokens in batches])
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return [outputs.detach(), *(parameter.grad.clone() for parameter in network.parameters())]  # type: ignore[union-attr]


def test_a_two_way_lstm_ends_where_each_direction_ends() -> None:
    network = build.network(Lstm(inputs=2, hidden=3, classes=2, bidirectional=True))
    inputs = torch.randn(2, 4, 2)
    _, (hidden, _) = network.lstm(inputs)  # type: ignore[operator]
    torch.testing.assert_close(network(inputs), network.head(torch.cat([hidden[0], hidden[1]], 1)))  # type: ignore[operator]


def test_an_lstm_without_a_vocabulary_is_what_it_was() -> None:
    names = list(build.network(Lstm(inputs=2, hidden=3, classes=2)).state_dict())
    assert names == [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")] + [
        "head.weight",
        "head.bias",
    ]


def test_a_textcnn_is_kims() -> None:
    network = build.network(Textcnn(vocabulary=30, embedding=5, filters=6, widths=(2, 3), classes=3)).eval()
    tokens = ragged(6)
    vectors_LE = network.embedding.weight[tokens.ids_BL[0]]  # type: ignore[index, union-attr]
    features = []
    for convolution in network.convolutions:  # type: ignore[union-attr]
        weight_KEW, bias_K = convolution.weight, convolution.bias  # type: ignore[union-attr]
        width = weight_KEW.shape[2]  # type: ignore[index, union-attr]
        windows = [vectors_LE[start : start + width].T for start in range(6 - width + 1)]
        maps = torch.stack([torch.relu((weight_KEW * window).sum((1, 2)) + bias_K) for window in windows])
        features.append(maps.amax(0))
    torch.testing.assert_close(network(tokens)[0], network.head(torch.cat(features)))  # type: ignore[operator]


def test_dropout_of_texts_is_drawn_in_training_only() -> None:
    network, tokens = build.network(Lstm(inputs=5, hidden=4, classes=3, vocabulary=30, dropout=0.5)), ragged(5, 5)
    assert not torch.equal(network(tokens), network(tokens))
    network.eval()
    assert torch.equal(network(tokens), network(tokens))
