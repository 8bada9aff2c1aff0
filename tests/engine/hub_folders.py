"""Hugging Face folders for the tests, and inspections of them."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from app.contract.architectures import Transformers
from app.contract.inspection import ModelInspection
from app.contract.job_file import InspectModel
from app.contract.registration import HuggingFace, Resolved
from tests.engine.pictures import tarred
from tests.engine.texts import TINY_BERT, pieces
from worker.engine import build
from worker.engine.inspection.hugging_face import inspect_folder

CONFIG = {**TINY_BERT, "id2label": {"0": "bad", "1": "good"}}
NAMES = ("bad", "good")


@cache
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return dict(build.network(Transformers(config=CONFIG, classes=2)).state_dict())


def folder(**changes: bytes | None) -> dict[str, bytes]:
    """Return a folder's files by name; `changes` replace some (dots written as __), or leave them out."""
    files = {
        "config.json": as_json(CONFIG),
        "model.safetensors": save(weights()),
        "tokenizer.json": as_json(pieces()["content"]),
        "README.md": b"about it",
    }
    changed = {name.replace("__", "."): content for name, content in changes.items()}
    return {name: content for name, content in {**files, **changed}.items() if content is not None}


def sharded(*shards: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    """Return the files of weights in shards, with their index."""
    named = {f"model-{place + 1:05}-of-{len(shards):05}.safetensors": shard for place, shard in enumerate(shards)}
    index = {tensor: name for name, shard in named.items() for tensor in shard}
    return {
        **{name: save(dict(shard)) for name, shard in named.items()},
        "model.safetensors.index.json": as_json({"metadata": {}, "weight_map": index}),
    }


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def inspected(
    path: Path, architecture: HuggingFace | None = None, max_parameters: int | None = None, **more: Any
) -> tuple[ModelInspection, Resolved | None]:
    """Inspect an archive; converted weights go beside it."""
    subject = InspectModel(architecture=architecture or HuggingFace(), **more)
    return inspect_folder(path, subject, path.with_name("weights.safetensors"), max_parameters)


def inspected_files(
    tmp_path: Path, files: Mapping[str, bytes], architecture: HuggingFace | None = None, **more: Any
) -> tuple[ModelInspection, Resolved | None]:
    return inspected(tarred(tmp_path / "upload", files), architecture, **more)
