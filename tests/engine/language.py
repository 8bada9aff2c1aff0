"""A causal language model that has learnt the tests' sentences, and job directories in which it teaches."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from app.contract.architectures import Transformers
from app.contract.preprocessing import PREPROCESSING
from tests.engine.texts import make_text_job, pieces, sentences
from worker.engine import build
from worker.engine.views.encoding import TokenReading

TOKENS = 120


def gpt2(layers: int = 2, **more: Any) -> Transformers:
    """Return a GPT-2, whose embeddings are its head too."""
    config = {
        "model_type": "gpt2", "vocab_size": TOKENS, "n_embd": 16, "n_layer": layers, "n_head": 2, "n_positions": 40,
        "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "pad_token_id": 0, "bos_token_id": 2,
        "eos_token_id": 3,
    }  # fmt: skip
    return Transformers(config={**config, **more}, classes=TOKENS, task="causal_lm")


def llama(**more: Any) -> Transformers:
    config = {
        "model_type": "llama", "vocab_size": TOKENS, "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24, "max_position_embeddings": 40,
        "pad_token_id": 0,
    }  # fmt: skip
    return Transformers(config={**config, **more}, classes=TOKENS, task="causal_lm")


GPT2, SMALL = gpt2(), gpt2(1)


def reading() -> TokenReading:
    return TokenReading(build.encoder(PREPROCESSING.validate_python(pieces())), torch.device("cpu"))


@cache
def taught() -> dict[str, torch.Tensor]:
    """Return the weights of a teacher that has learnt the sentences, each once, as the library saves them."""
    torch.manual_seed(5)
    network, read = build.network(GPT2), reading()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for step in range(80):
        tokens = read(sentences(32, seed=1000 + step)[0])
        next_A = torch.cat([ids[1:length] for ids, length in zip(tokens.ids_BL, tokens.lengths_B, strict=True)])
        optimizer.zero_grad()
        cross_entropy(network(tokens), next_A).backward()
        optimizer.step()
    found = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    del found["lm_head.weight"]
    return found


def make_language_job(folder: Path, *, splits: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a job directory like `make_text_job`, in which language models teach and learn."""
    given = {"teacher": GPT2, "student": SMALL, "read_by_teacher": pieces(), **changes}
    if given["teacher"] == GPT2:
        given.setdefault("weights", taught())
    if rows := given.get("rows"):
        given["training"] = {"batch_size": min(16, (len(rows) + 1) // 2), **given.get("training", {})}
    make_text_job(folder, **given)
    job = json.loads((folder / "job.json").read_text())
    job["transfer_set"]["splits"] = splits or {}
    (folder / "job.json").write_text(json.dumps(job))
    return folder


def hub_folder(folder: Path) -> Path:
    """Write the teacher as a Hugging Face folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**GPT2.config, "architectures": ["GPT2LMHeadModel"]}))
    (folder / "tokenizer.json").write_text(json.dumps(pieces()["content"]))
    save_file(taught(), folder / "model.safetensors")
    return folder
