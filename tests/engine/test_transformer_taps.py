"""Hidden states and attention of transformers: what the libraries themselves say they are, or absent. B = batch."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.contract.architectures import Timm, Transformers
from app.contract.taps import Unknown, named
from tests.engine.modules import batch, captured, rebuilt
from worker.engine import build
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.feature import Feature
from worker.engine.taps.listener import Features, Listener, Silent
from worker.engine.taps.survey import survey

SIZES = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
SHARED_KEYS = {"num_key_value_heads": 1, "head_dim": 8}
DISTILBERT = {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24}
BY_ONE_OPERATOR: dict[str, dict[str, Any]] = {
    "bert": {}, "distilbert": DISTILBERT, "roberta": {"pad_token_id": 1}, "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8, "num_hidden_groups": 2}, "gpt2": {"n_embd": 16, "n_layer": 3, "n_head": 2},
    "llama": SHARED_KEYS, "qwen3": SHARED_KEYS, "mistral": {**SHARED_KEYS, "sliding_window": 3},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 4}, "roberta-prelayernorm": {"pad_token_id": 1},
}  # fmt: skip
IN_ANOTHER_WAY: dict[str, dict[str, Any]] = {
    "mpnet": {"pad_token_id": 1}, "deberta-v2": {}, "convbert": {"embedding_size": 16}, "bloom": {},
    "xlm": {"emb_dim": 16, "n_layers": 3, "n_heads": 2}, "megatron-bert": {}, "gemma2": SHARED_KEYS,
}  # fmt: skip
LENGTHS = [(7, 7), (7, 4)]
TASKS = ["sequence_classification", "embedding"]


def network_of(kind: str, more: dict[str, Any], task: str = TASKS[0]) -> tuple[Transformers, Any]:
    config = {"model_type": kind, **SIZES, **more}
    family = Transformers.model_validate({"config": config, "task": task, "classes": 16 if task == TASKS[1] else 3})
    torch.manual_seed(0)
    return family, build.network(family).eval()


def tokens_of(lengths: tuple[int, ...] = (7, 4)) -> Tokens:
    lengths_B = torch.tensor(lengths)
    mask_BL = torch.arange(7) < lengths_B[:, None]
    ids_BL = torch.randint(3, 60, (2, 7), generator=torch.Generator().manual_seed(1))
    return Tokens(ids_BL.where(mask_BL, 0), mask_BL, lengths_B)


def held_by(family: Any, network: nn.Module, inputs: Inputs) -> Features:
    """Return the features of all short names that a survey finds."""
    with torch.no_grad():
        names = [tap.name for tap in survey(family, network, inputs) if ":" in tap.name]
        return Listener(family, network, names)(inputs)[1]


def told_by(network: Any, tokens: Tokens) -> Any:
    """Return what the library's own class answers, with nothing of ours but the weights."""
    own = next(base for base in type(network).__mro__[1:] if base.__module__.startswith("transformers."))
    plain = own(network.config).eval()
    plain.set_attn_implementation("eager")
    plain.load_state_dict(network.state_dict(), strict=False)
    mask_BL = tokens.mask_BL.long() if tokens.padded else None
    ids_BL = tokens.ids_BL.where(tokens.mask_BL, network.config.pad_token_id)
    with torch.no_grad():
        return plain(input_ids=ids_BL, attention_mask=mask_BL, output_hidden_states=True, output_attentions=True)


def probabilities(scores: Feature) -> Tensor:
    found = scores.value if scores.mask is None else scores.value.masked_fill(~scores.mask, -1e30)
    return found.softmax(-1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("kind", [*BY_ONE_OPERATOR, *IN_ANOTHER_WAY])
def test_hidden_states_and_attention_are_those_that_the_library_tells(
    kind: str, lengths: tuple[int, ...], task: str
) -> None:
    family, network = network_of(kind, (BY_ONE_OPERATOR | IN_ANOTHER_WAY)[kind], task)
    tokens = tokens_of(lengths)
    held = held_by(family, network, tokens)
    told = told_by(network, tokens)
    assert [name for name in held if name.startswith("hidden")] == [f"hidden:{number}" for number in range(4)]
    for number, state in enumerate(told.hidden_states):
        kept = held[f"hidden:{number}"]
        torch.testing.assert_close(kept.value[tokens.mask_BL], state[tokens.mask_BL], atol=1e-5, rtol=1e-4)
        assert kept.mask is (tokens.mask_BL if tokens.padded else None)
    attended = [name for name in held if name.startswith("attention")]
    assert attended == ([f"attention:{number}" for number in range(3)] if kind in BY_ONE_OPERATOR else [])
    for name, expected in zip(attended, told.attentions, strict=False):
        real_BLA = (probabilities(held[name]) - expected).transpose(1, 2)[tokens.mask_BL]
        assert real_BLA.abs().max() < 1e-5


@pytest.mark.parametrize("kind", BY_ONE_OPERATOR)
def test_queries_and_keys_give_the_scores_and_padding_counts_nowhere(kind: str) -> None:
    tokens = tokens_of()
    held = held_by(*network_of(kind, BY_ONE_OPERATOR[kind]), tokens)
    for number in range(3):
        scores, (query, key, _) = held[f"attention:{number}"], held[f"qkv:{number}"].value.unbind(1)
        expected = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        torch.testing.assert_close(scores.value, expected)
        assert scores.mask is not None
        assert not scores.mask[1, :, 4:].any()
        assert not scores.mask[1, :, :, 4:].any()
        assert held[f"qkv:{number}"].mask is tokens.mask_BL


def test_states_of_fewer_tokens_or_more_than_layers_are_absent() -> None:
    family, network = network_of("canine", {})
    assert not [name for name in held_by(family, network, tokens_of()) if name.startswith("hidden")]


def test_a_network_that_computes_attention_in_another_way_is_told_so() -> None:
    known = list(held_by(*network_of("deberta-v2", {}), tokens_of()))
    with pytest.raises(Unknown, match="scaled_dot_product_attention is called, and it does not call that"):
        named("attention:-1", known)


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_pooled_is_one_vector_or_absent(kind: str) -> None:
    family, network = network_of(kind, BY_ONE_OPERATOR[kind])
    pooled = [tap.shape for tap in survey(family, network, tokens_of()) if tap.name == "pooled"]
    assert pooled == ([(16,)] if kind == "bert" else [])
    if kind == "gpt2":
        with pytest.raises(Silent, match="more than one vector a sample"):
            Listener(family, network, ["pooled"])(tokens_of())


def test_what_is_pooled_of_an_embedding_is_the_embedding() -> None:
    family, network = network_of("bert", {}, "embedding")
    with torch.no_grad():
        said, held = Listener(family, network, ["pooled"])(tokens_of())
    assert torch.equal(held["pooled"].value, said)


VIT = Timm(
    name="vit_tiny_patch16_224", classes=3, image_size=32,
    arguments={"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
)  # fmt: skip


def test_a_vision_transformers_states_and_attention_are_timms_own() -> None:
    network: Any = build.network(VIT).eval()
    images = torch.randn(2, 3, 32, 32)
    held = held_by(VIT, network, images)
    with torch.no_grad():
        _, states = network.forward_intermediates(images, return_prefix_tokens=True, output_fmt="NLC")
        for number, (patches, prefix) in enumerate(states, start=1):
            torch.testing.assert_close(held[f"hidden:{number}"].value, torch.cat([prefix, patches], 1))
        for number, block in enumerate(network.blocks):
            given = block.norm1(held[f"hidden:{number}"].value)
            qkv = block.attn.qkv(given).reshape(2, 17, 3, 2, 8).permute(0, 2, 3, 1, 4)
            torch.testing.assert_close(held[f"qkv:{number}"].value, qkv)
            assert held[f"attention:{number}"].mask is None


def test_attention_within_windows_is_no_attention_of_a_sample() -> None:
    arguments = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
    family = Timm(name="swin_tiny_patch4_window7_224", classes=3, image_size=32, arguments=arguments)
    held = held_by(family, build.network(family).eval(), torch.randn(2, 3, 32, 32))
    assert {name.partition(":")[0] for name in held} == {"stage"}


@pytest.mark.parametrize("training", [False, True])
def test_a_captured_encoder_tells_its_attention(training: bool) -> None:
    network, (encoder, capture) = rebuilt("encoder").train(training), captured("encoder")
    (ids_BL,), tokens = batch("encoder")
    assert isinstance(tokens, Tokens)
    family, names = capture.architecture, ["hidden:0", "hidden:1", "attention:0", "qkv:0"]
    assert [name for name in held_by(family, network.eval(), tokens) if name.startswith("hidden")] == names[:2]
    _, held = Listener(family, network.train(training), names)(tokens)
    attention = copy.deepcopy(encoder.encoder.layers[0].self_attn).eval()
    given = held["hidden:0"].value
    torch.testing.assert_close(given, encoder.embedding(ids_BL) + encoder.positions[:7])
    _, expected = attention(given, given, given, key_padding_mask=~tokens.mask_BL, average_attn_weights=False)
    own = nn.functional.linear(given, attention.in_proj_weight, attention.in_proj_bias)
    torch.testing.assert_close(held["qkv:0"].value, own.unflatten(2, (3, 2, 4)).permute(0, 2, 3, 1, 4))
    found = probabilities(held["attention:0"])
    torch.testing.assert_close(found.transpose(1, 2)[tokens.mask_BL], expected.transpose(1, 2)[tokens.mask_BL])
