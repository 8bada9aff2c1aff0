"""Networks of the transformers library: built from a config alone, by names that are the library's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from app.contract import reading
from app.contract.architectures import Transformers
from app.contract.job_file import InspectModel
from app.contract.preprocessing import PREPROCESSING, Words
from app.contract.report import Report
from tests.engine.test_reading import alone, outputs_and_gradients, ragged, wider
from tests.engine.texts import STUDENT, TINY_BERT, make_text_job, pieces
from tests.engine.uploads import said
from worker.engine import build
from worker.engine.failures import Refused
from worker.engine.inspection.models import inspect_model
from worker.engine.networks import torchvision_operators

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
CONFIGS: list[dict[str, Any]] = [
    {"model_type": "bert", **SIZES, **QUIET},
    {"model_type": "roberta", **SIZES, **QUIET, "pad_token_id": 1, "max_position_embeddings": 20},
    {"model_type": "electra", **SIZES, **QUIET, "embedding_size": 8},
    {"model_type": "gpt2", "vocab_size": 30, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0, "embd_pdrop": 0,
     "attn_pdrop": 0, "eos_token_id": 29, "bos_token_id": 29},
    {"model_type": "llama", **SIZES, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2},
]  # fmt: skip
BERT = Transformers(config=TINY_BERT, classes=2)


def bert(**changes: Any) -> Transformers:
    return Transformers(config={**TINY_BERT, **changes}, classes=2)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["model_type"])
def test_padding_changes_neither_outputs_nor_gradients(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    # Numbers of special tokens mean something to these networks, so the texts have none.
    tokens = ragged(7, 1, 3, 6)
    tokens.ids_BL.clamp_(3, 28)
    network = build.network(Transformers(config=config, classes=3))
    whole = outputs_and_gradients(network, [tokens])
    for batches in ([alone(tokens, row) for row in range(4)], [wider(tokens)]):
        for found, expected in zip(outputs_and_gradients(network, batches), whole, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_a_network_is_the_librarys_own() -> None:
    torchvision_operators.make_importable()
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {name: TINY_BERT[name] for name in ("vocab_size", *list(SIZES)[1:], *QUIET, "max_position_embeddings")}
    theirs = BertForSequenceClassification(BertConfig(**sizes, num_labels=2)).eval()  # type: ignore[arg-type]
    ours = build.network(BERT).eval()
    ours.load_state_dict(theirs.state_dict())
    tokens = ragged(6, 3)
    with torch.inference_mode():
        logits = theirs(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long()).logits
        torch.testing.assert_close(ours(tokens), logits)
    assert next(iter(ours.parameters())).dtype == torch.float32


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "'auto_map' cannot be given"),
        ({"attn_implementation": "somebody/kernels"}, "'attn_implementation' cannot be given"),
        ({"_attn_implementation": "flash"}, "cannot be given"),
        ({"deep": {"quantization_config": {}}}, "'deep.quantization_config' cannot be given"),
        ({"deep": [{"backbone": "resnet"}]}, "'deep.backbone' cannot be given"),
        ({"hidden_act": "../../etc/passwd"}, "'hidden_act' must be a number or a word"),
        ({"vocab_size": "many"}, "'vocab_size' is missing"),
        ({"model_type": None}, "'model_type' is missing"),
        ({"deep": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}, "nested more than"),
    ],
)
def test_configs_that_reach_for_something_else(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        bert(**config)


def test_where_a_config_came_from_is_forgotten() -> None:
    assert not {"architectures", "id2label", "torch_dtype", "_name_or_path"} & BERT.config.keys()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"model_type": "bertt"}, "no text classifier of the type 'bertt'; did you mean 'bert'"),
        ({"num_attention_heads": 3}, "cannot build a network from this config"),
        ({"hidden_size": "wide"}, "cannot build a network from this config"),
        ({"model_type": "fnet"}, "cannot tell padding from text"),
        ({"model_type": "bart"}, "has a decoder"),
        ({"model_type": "timm_wrapper"}, "no text classifier"),
    ],
)
def test_configs_that_cannot_be_built(tmp_path: Path, config: dict[str, Any], text: str) -> None:
    with pytest.raises(Refused, match=text):
        build.network(bert(**config))
    save_file({"x": torch.zeros(1)}, tmp_path / "upload")
    assert text in said(inspect_model(tmp_path / "upload", InspectModel(architecture=bert(**config)), tmp_path / "w"))


def test_a_text_must_not_be_longer_than_the_positions() -> None:
    assert bert().longest() == 34
    assert Transformers(config=CONFIGS[1], classes=2).longest() == 18
    assert "positions for 34" in (reading.refusal(BERT, Words(vocabulary=("a",))) or "")
    assert reading.refusal(BERT, PREPROCESSING.validate_python(pieces())) is None


def test_a_transformer_teaches_and_learns(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    smaller = bert(num_hidden_layers=1)
    run_here(make_text_job(tmp_path / "teaches", teacher=BERT, student=STUDENT, read_by_teacher=pieces(),
                           read_by_student={"kind": "words"}))  # fmt: skip
    run_here(make_text_job(tmp_path / "learns", teacher=BERT, student=smaller, read_by_teacher=pieces()))
    report = Report.model_validate_json((tmp_path / "learns" / "out" / "report.json").read_bytes())
    assert report.student.flops < report.teacher.flops
    weights = load_file(tmp_path / "learns" / "out" / "student.safetensors")
    assert "bert.encoder.layer.0.attention.self.query.weight" in weights
    build.network(smaller).load_state_dict(weights)
