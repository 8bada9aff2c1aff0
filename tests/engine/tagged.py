"""Tagged sentences for the tests, a teacher that has learnt them, and job directories that hold them."""

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from app.contract import preprocessing
from app.contract.architectures import Architecture, Transformers
from app.contract.preprocessing import PREPROCESSING
from tests.engine.texts import TINY_BERT, wordpieces
from worker.engine import build
from worker.engine.views.encoding import WordReading

TAGS = ("B-LOC", "B-PER", "I-PER", "O")
_FIRST = ["Ada", "Grace", "Emmy", "Sofia", "Lise", "Maria"]
_LAST = ["Lovelace", "Hopper", "Noether", "Kovalevskaya", "Meitner"]
_PLACES = ["London", "Göttingen", "Paris", "Vienna", "Stockholm"]
_OPENINGS = ["yesterday", "they say that", "in the end", "we heard that"]

Row = dict[str, Any]


def rows(count: int, seed: int = 0) -> list[Row]:
    """Return sentences whose tags depend on the words and, of Paris and Maria, on their neighbours."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        person = [draw.choice(_FIRST), draw.choice([*_LAST, "Paris"])][: draw.randrange(1, 3)]
        tagged = [(word, "O") for word in draw.choice(_OPENINGS).split()]
        tagged += list(zip(person, ("B-PER", "I-PER"), strict=False))
        tagged += [("lives", "O"), ("in", "O"), (draw.choice([*_PLACES, "Maria"]), "B-LOC")]
        tagged += [(".", "O")] if draw.random() < 0.7 else []
        found.append({"tokens": [word for word, _ in tagged], "tags": [tag for _, tag in tagged]})
    return found


@cache
def pieces(count: int = 90, max_tokens: int = 32) -> dict[str, Any]:
    """Return a tokenizer that cuts most of the names into several pieces, as a spec has it."""
    texts = [" ".join(row["tokens"]) for row in rows(200)]
    content = json.loads(wordpieces(texts, count).to_str())
    return preprocessing.Tokenizer(content=content, max_tokens=max_tokens).model_dump(mode="json")


def bert(layers: int = 2, **more: Any) -> Transformers:
    return Transformers(
        config={**TINY_BERT, "num_hidden_layers": layers}, task="token_classification", classes=4, **more
    )


BERT, SMALL = bert(), bert(1)


@cache
def taught() -> dict[str, torch.Tensor]:
    """Return the weights of a teacher that has learnt the tags, of the classes' sorted order."""
    torch.manual_seed(5)
    network, read = build.network(BERT), WordReading(build.encoder(PREPROCESSING.validate_python(pieces())), _CPU)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for step in range(60):
        batch = rows(32, seed=1000 + step)
        labels_A = torch.tensor([TAGS.index(tag) for row in batch for tag in row["tags"]])
        optimizer.zero_grad()
        cross_entropy(network(read([row["tokens"] for row in batch])), labels_A).backward()
        optimizer.step()
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


_CPU = torch.device("cpu")


def hub_folder(folder: Path) -> Path:
    """Write the teacher as a Hugging Face folder."""
    folder.mkdir()
    names = {str(number): tag for number, tag in enumerate(TAGS)}
    config = {**BERT.config, "architectures": ["BertForTokenClassification"], "id2label": names}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(pieces()["content"]))
    save_file(taught(), folder / "model.safetensors")
    return folder


def make_tagged_job(
    folder: Path,
    *,
    teacher: Architecture = BERT,
    student: Architecture = SMALL,
    read_by_teacher: dict[str, Any] | None = None,
    read_by_student: dict[str, Any] | None = None,
    found: Sequence[Row] | None = None,
    weights: dict[str, torch.Tensor] | None = None,
    spec: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    splits: dict[str, Any] | None = None,
    classes: Sequence[str] | None = None,
) -> Path:
    """Write a job directory: the teacher, tagged sentences, job.json."""
    (folder / "inputs").mkdir(parents=True)
    save_file(weights or taught(), folder / "inputs" / "teacher.safetensors")
    lines = map(json.dumps, rows(80, seed=3) if found is None else found)
    (folder / "inputs" / "transfer_set").write_text("\n".join(lines))
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
        "teachers": [
            {"architecture": teacher.model_dump(), "preprocessing": read_by_teacher or pieces(), "class_names": TAGS}
        ],
        "student": {"architecture": student.model_dump(), "preprocessing": read_by_student},
        "transfer_set": {"format": {"kind": "tagged_words", "classes": classes}, "splits": splits or {}},
    }
    (folder / "job.json").write_text(json.dumps(content))
    return folder
