"""A BERT for the movie sentences: MiniLM's body, a fresh head, fine-tuned in plain torch. B = batch, N = sentences."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from benchmarks.reproduce.material import CACHE, MiniLm
from worker.engine.networks import torchvision_operators

BATCH, RATE, MAX_TOKENS = 32, 5e-5, 32


def config(body: MiniLm) -> dict[str, Any]:
    """Return the network's config.json."""
    return body.config | {"architectures": ["BertForSequenceClassification"]}


def trained(body: MiniLm, texts: list[str], labels: Tensor, epochs: int, seed: int = 0) -> Path:
    """Return the fine-tuned weights; trained once, and kept beside the material."""
    path = CACHE / f"movies-teacher-{len(texts)}-{epochs}-{seed}.safetensors"
    if not path.exists():
        weights = _train(body, texts, labels, epochs, seed).state_dict()
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
    return path


def network(body: MiniLm) -> nn.Module:
    """Return the body with its weights under a fresh head for two classes."""
    torchvision_operators.make_importable()  # where torch is without CUDA and torchvision is not
    from transformers import AutoConfig, AutoModelForSequenceClassification  # noqa: PLC0415  # takes seconds

    built = config(body)
    bert = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**built, num_labels=2))
    weights = {f"bert.{name}": tensor for name, tensor in body.weights.items() if not name.endswith("position_ids")}
    unused = bert.load_state_dict(weights, strict=False)
    assert not unused.unexpected_keys, unused
    assert set(unused.missing_keys) == {"classifier.weight", "classifier.bias"}, unused
    return bert


def encoded(body: MiniLm, texts: list[str]) -> list[list[int]]:
    """Return token numbers, as the service's tokenizer makes them."""
    tokenizer = Tokenizer.from_str(json.dumps(body.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [entry.ids for entry in tokenizer.encode_batch(texts)]


def _train(body: MiniLm, texts: list[str], labels_N: Tensor, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    bert, ids = network(body).train(), encoded(body, texts)
    optimizer = torch.optim.AdamW(bert.parameters(), lr=RATE, fused=True)
    steps = epochs * (-(-len(ids) // BATCH))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / (0.1 * steps), 1 - step / steps))
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(ids):
            tokens_BL = nn.utils.rnn.pad_sequence([torch.tensor(ids[row]) for row in rows], batch_first=True)
            logits_BC = bert(input_ids=tokens_BL, attention_mask=(tokens_BL != 0).long()).logits
            loss = nn.functional.cross_entropy(logits_BC, labels_N[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"teacher, epoch {epoch + 1} of {epochs}: loss {total / len(ids):.4f}", flush=True)
    return bert.eval()


def batches(ids: list[list[int]]) -> list[list[int]]:
    """Return rows in random batches of similar lengths, so that little is padded."""
    order = torch.randperm(len(ids)).tolist()
    chunks = [order[start : start + 50 * BATCH] for start in range(0, len(ids), 50 * BATCH)]
    by_length = [sorted(chunk, key=lambda row: len(ids[row])) for chunk in chunks]
    found = [chunk[start : start + BATCH] for chunk in by_length for start in range(0, len(chunk), BATCH)]
    return [found[place] for place in torch.randperm(len(found)).tolist()]
