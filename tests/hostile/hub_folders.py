"""Hugging Face folders that would run code, reach out of their archive, or build networks without end."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import save

from app.contract.registration import HuggingFace
from tests.engine.hub_folders import CONFIG, as_json, folder, sharded, weights
from tests.engine.pictures import tarred, zipped
from tests.engine.texts import pieces
from tests.hostile.case import Case, Files, marker, model
from tests.hostile.pickles import Exploit

TOKENIZER = pieces()["content"]
INDEX = "model.safetensors.index.json"


def hub(name: str, files: Callable[[], Files], said: str) -> Case:
    return model(f"hub: {name}", lambda path: tarred(path, files()), said, HuggingFace())


def config(**changes: Any) -> Callable[[], Files]:
    return lambda: folder(config__json=as_json({**CONFIG, **changes}))


def tokenizer(**changes: Any) -> Callable[[], Files]:
    return lambda: folder(tokenizer__json=as_json({**TOKENIZER, **changes}))


def with_index(shards: Any) -> Callable[[], Files]:
    return lambda: folder(model__safetensors=None, model__safetensors__index__json=as_json({"weight_map": shards}))


def pickled(path: Any) -> None:
    """Write a folder whose weights are a pickle that runs code."""
    content = io.BytesIO()
    torch.save({"bert.embeddings.word_embeddings.weight": Exploit(marker(path))}, content)
    tarred(path, folder(model__safetensors=None, pytorch_model__bin=content.getvalue()))


def pickled_shard(path: Any) -> None:
    """Write a folder one of whose safetensors is a pickle that runs code."""
    content = io.BytesIO()
    torch.save({"a": Exploit(marker(path))}, content)
    tarred(path, folder(model__safetensors=content.getvalue()))


def bomb(name: str) -> Any:
    return lambda path: zipped(path, {**folder(), name: bytes(80 * 2**20)}, zipfile.ZIP_DEFLATED)


def nan() -> Files:
    held = {name: value.clone() for name, value in weights().items()}
    held["classifier.bias"][0] = float("nan")
    return folder(model__safetensors=save(held))


REGEX = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
UNCLOSED = {"type": "Split", "pattern": {"Regex": "(" * 5_000}, "behavior": "Isolated", "invert": False}
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
CASES: list[Case] = [
    hub("code of its own", config(auto_map={"AutoModel": "x.Y"}), "field 'auto_map' cannot be given"),
    hub("code of its own, deep", config(a={"b": {"auto_map": "x.Y"}}), r"field 'a\.b\.auto_map' cannot be given"),
    hub("remote code trusted", config(trust_remote_code=True), "field 'trust_remote_code' cannot be given"),
    hub("a class of its own", config(model_type="../../evil"), "could name a file"),
    hub("a type that is a module", config(model_type="os.path"), "no text classifier of the type 'os.path'"),
    hub("weights from elsewhere", config(pretrained_model_name_or_path="evil/model"), "cannot be given"),
    hub("quantised", config(quantization_config={"quant_method": "gptq"}), "'quantization_config' cannot be given"),
    hub("an activation that is code", config(hidden_act="__import__('os').mkdir('marker')"), "could name a file"),
    hub("an activation that is none", config(hidden_act="nonsense"), "cannot build a network .*nonsense"),
    hub("hidden states of 10^9", config(hidden_size=10**9, num_attention_heads=1), "takes up to 100,000,000"),
    hub("hidden states of 10^30", config(hidden_size=10**30), "cannot build a network from this config .*Overflow"),
    hub("10^9 layers", config(num_hidden_layers=10**9), "more than 50,000 tensors"),
    hub("a vocabulary of 10^12", config(vocab_size=10**12), "from 3 to 2,000,000"),
    hub("positions of 10^12", config(max_position_embeddings=10**12), "takes up to 100,000,000"),
    hub("no hidden states", config(hidden_size=0), "cannot build a network from this config"),
    hub("negative hidden states", config(hidden_size=-16),
        "cannot build a network from this config .*negative dimension"),
    hub("no heads", config(num_attention_heads=0), "cannot build a network from this config"),
    hub("sizes that are words", config(hidden_size="many"), "hidden_size"),
    hub("sizes that are lists", config(hidden_size=[16] * 1000), "hidden_size"),
    hub("Infinity", lambda: folder(config__json=as_json({**CONFIG, "initializer_range": float("inf")})), ""),
    hub("501 fields", config(**{f"a{place}": 1 for place in range(500)}), "at most 500 items"),
    hub("fields 7 deep", config(a={"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}), "more than 6 deep"),
    hub("a config 100,000 deep", lambda: folder(config__json=DEEP.encode()), "config.json is not valid JSON"),
    hub("a config that is no UTF-8", lambda: folder(config__json=b"\xff\xfe{}"), "config.json is not valid JSON"),
    hub("a config that is a list", lambda: folder(config__json=b"[]"), "not a table of fields"),
    hub("labels that are half a character", config(id2label={"0": "\ud800", "1": "b"}),
        "unable to parse raw data as a unicode string"),
    hub("100,000 labels", config(id2label={str(place): f"c{place}" for place in range(100_000)}),
        "Tensors have other shapes"),
    hub("labels of 1 MB", config(id2label={"0": "a" * 10**6, "1": "b"}), "at most 200 characters"),
    hub("a name in an archive that leads out", lambda: {**folder(), "../config.json": b"{}"},
        "leads out of its folder"),
    hub("two folders", lambda: {f"{at}/{name}": held for at in "ab" for name, held in folder().items()},
        "several folders"),
    hub("a shard outside", with_index({"a": "../../etc/passwd"}), "lacks shards .*: ../../etc/passwd"),
    hub("a shard that is the config", with_index({"a": "config.json"}), "neither safetensors nor a pickled"),
    hub("an index of numbers", with_index({"a": 1}), "no weight_map"),
    hub("an index of 100,000 tensors that are not there", lambda: {
        **folder(model__safetensors=None), **sharded(weights()),
        INDEX: as_json({"weight_map": dict.fromkeys(map(str, range(100_000)), "model-00001-of-00001.safetensors")}),
    }, "not in the shards .* and 99980 more"),
    model("hub: weights that run code", pickled, "would have to run code", HuggingFace()),
    model("hub: safetensors that are a pickle", pickled_shard, "would have to run code", HuggingFace()),
    model("hub: weights of 80 MB of zeros", bomb("model.safetensors"), "'model.safetensors' has more than 6",
        HuggingFace()),
    model("hub: a tokenizer of 80 MB of zeros", bomb("tokenizer.json"), "'tokenizer.json' has more than 6",
        HuggingFace()),
    hub("NaN weights", nan, "NaN or infinite values: classifier.bias"),
    hub("a regular expression without end", tokenizer(pre_tokenizer=REGEX), ""),
    hub("a regular expression that is none", tokenizer(pre_tokenizer=UNCLOSED), "tokenizer cannot be used"),
    hub("a tokenizer of a kind that is none", tokenizer(model={"type": "Magic", "vocab": {"a": 0}}),
        "cannot be used"),
    hub("a tokenizer with token 2^32 - 1",
        tokenizer(model={**TOKENIZER["model"], "vocab": {**TOKENIZER["model"]["vocab"],
        "zz": 2**32 - 1}}), "tells 4,294,967,296 tokens apart"),
    hub("a tokenizer with token -1", tokenizer(model={**TOKENIZER["model"], "vocab": {"a": -1}}), "cannot be used"),
    hub("a tokenizer of lists 900 deep", lambda: folder(tokenizer__json=json.dumps(TOKENIZER)[:-1].encode() + b',"x":'
        + b"[" * 900 + b"]" * 900 + b"}"), "tokenizer cannot be used"),
    hub("a padding of 2^62", tokenizer(padding={"strategy": {"Fixed": 2**62}, "direction": "Right",
        "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}), ""),
    hub("a vocabulary that is no UTF-8", lambda: folder(tokenizer__json=None, vocab__txt=b"\xff\xfe"), "not UTF-8"),
    hub("pooling by nobody knows what",
        lambda: {**folder(config__json=as_json({**CONFIG, "architectures": ["BertModel"]})),
        "modules.json": as_json([{"type": "evil.module.Run"}])}, "steps that are not known here: Run"),
    model("hub: weights alone", save({"a": torch.ones(1)}), "uploaded as a .zip, .tar or .tar.gz", HuggingFace()),
]  # fmt: skip
