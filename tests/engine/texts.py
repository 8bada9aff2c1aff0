"""Sentences for the tests, a tokenizer trained on them, and job directories that hold them."""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from app.contract import preprocessing
from app.contract.architectures import Architecture, Lstm, Textcnn
from worker.engine import build

_GOOD = "a great moving film|wonderful and funny|truly lovely acting|the best story|warm clever delightful scenes"
_BAD = "a dull boring film|awful and slow|truly terrible acting|the worst story|cold stupid lifeless scenes"
_REST = "about two brothers|in the end|from the director|with music|on the sea|told by a child|that nobody knows"


def sentences(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return short reviews and what they are: `bad` or `good`."""
    draw = random.Random(seed)
    labels = [draw.choice(("bad", "good")) for _ in range(count)]
    texts = []
    for label in labels:
        opinions = (_GOOD if label == "good" else _BAD).split("|")
        parts = [draw.choice(opinions), *draw.sample(_REST.split("|"), draw.randrange(4))]
        texts.append(" ".join(parts).capitalize() + draw.choice((".", "!", "")))
    return texts, labels


def wordpieces(texts: list[str], size: int = 120, mask: str = "[MASK]") -> Tokenizer:
    """Return a small tokenizer like BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", mask]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


@cache
def pieces(count: int = 120) -> dict[str, Any]:
    """Return a tokenizer for the sentences, as a spec has it; always the same one, though ties fall as they please."""
    content = json.loads(wordpieces(sentences(200)[0], count).to_str())
    return preprocessing.Tokenizer(content=content, max_tokens=32).model_dump(mode="json")


TEACHER = Lstm(inputs=8, hidden=8, classes=2, vocabulary=120, bidirectional=True, pooling="max")
STUDENT = Textcnn(vocabulary=60, embedding=6, filters=4, widths=(1, 2), classes=2, dropout=0.0)


TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 120,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 34,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "architectures": ["BertForSequenceClassification"],
    "id2label": {"0": "bad/awful", "1": "good"},
    "torch_dtype": "bfloat16",
    "_name_or_path": "somebody/tiny",
}


def make_text_job(
    folder: Path,
    *,
    teacher: Architecture = TEACHER,
    student: Architecture = STUDENT,
    read_by_teacher: dict[str, Any] | None = None,
    read_by_student: dict[str, Any] | None = None,
    rows: list[dict[str, Any]] | None = None,
    weights: dict[str, torch.Tensor] | None = None,
    spec: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
) -> Path:
    """Write a job directory: a teacher, by default with random weights, sentences, job.json."""
    (folder / "inputs").mkdir(parents=True)
    torch.manual_seed(7)
    save_file(weights or build.network(teacher).state_dict(), folder / "inputs" / "teacher.safetensors")
    texts, labels = sentences(120)
    rows = rows or [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
    (folder / "inputs" / "transfer_set").write_text("\n".join(map(json.dumps, rows)))
    resolved = {
        "teacher": "mdl_" + "0" * 32,
        "transfer_set": "ds_" + "0" * 32,
        "student": {"architecture": student.model_dump(), "preprocessing": read_by_student},
        "training": {"epochs": 3, "batch_size": 16, **(training or {})},
        "export": {"plots": False},
        **(spec or {}),
    }
    content = {
        "spec": resolved,
        "teachers": [{"architecture": teacher.model_dump(), "preprocessing": read_by_teacher}],
        "student": {"architecture": student.model_dump(), "preprocessing": read_by_student},
        "transfer_set": {"format": {"kind": "text"}},
    }
    (folder / "job.json").write_text(json.dumps(content))
    return folder
