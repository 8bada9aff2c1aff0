"""Two networks and random samples, as job directories whose training steps can be timed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from app.contract.architectures import Family, Resnet, Transformers
from app.contract.events import Run
from app.contract.job_file import JobFile
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.reporter import Reporter
from worker.engine.run import TrainingRun
from worker.engine.stop import StopSignal

STEPS, WORDS, LENGTH, CLASSES = 2, 500, 64, 10
"""Steps of an epoch; words of the texts' language; words of a text."""


@dataclass(frozen=True)
class Pair:
    """What learns from what, and from how many samples of which shape in a step."""

    name: str
    teacher: Family
    student: Family
    shape: tuple[int, ...]
    batch: int
    preprocessing: dict[str, Any] | None = None
    """Of texts."""

    def run(self, folder: Path, lessons: dict[str, Any]) -> TrainingRun:
        """Return a job's main training, ready for its first step."""
        (folder / "inputs").mkdir(parents=True)
        torch.manual_seed(0)
        save_file(build.network(self.teacher).state_dict(), folder / "inputs" / "teacher.safetensors")
        self._write_samples(folder / "inputs" / "transfer_set")
        job = JobFile.model_validate(self._job(lessons, folder.parent / "targets"))
        bench = Bench(folder, job, Reporter(folder / "events.jsonl"), StopSignal())
        run = bench.training_run(bench.lessons(Run.STUDENT)[-1])
        run.state.set_modes()
        return run

    def _job(self, lessons: dict[str, Any], targets: Path) -> dict[str, Any]:
        training = {"epochs": 10_000, "batch_size": self.batch, "checkpoint_seconds": 1e6}
        student = {"architecture": self.student.model_dump(), "preprocessing": self.preprocessing}
        spec = {"teacher": "mdl_" + "0" * 32, "transfer_set": "ds_" + "0" * 32, "student": student, **lessons}
        return {
            "spec": {**spec, "training": training, "control": False, "device": "cpu"},
            "teachers": [{"architecture": self.teacher.model_dump(), "preprocessing": self.preprocessing}],
            "student": student,
            "transfer_set": {
                "format": {"kind": "text" if self.preprocessing else "tensors"},
                "splits": {"validation": 0},
            },
            "targets_folder": str(targets),
        }

    def _write_samples(self, path: Path) -> None:
        draw, samples = np.random.default_rng(0), STEPS * self.batch
        labels = np.arange(samples) % CLASSES
        if self.preprocessing:
            words = [" ".join(f"w{word}" for word in draw.integers(0, WORDS, LENGTH)) for _ in labels]
            rows = [{"text": text, "label": str(label)} for text, label in zip(words, labels, strict=True)]
            path.write_text("\n".join(map(json.dumps, rows)))
        else:
            inputs = torch.from_numpy(draw.normal(size=(samples, *self.shape)).astype(np.float32))
            save_file({"inputs": inputs, "labels": torch.from_numpy(labels)}, path)


def _bert(layers: int, width: int) -> Transformers:
    config = {
        "model_type": "bert",
        "vocab_size": WORDS + 1,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 4 * width,
        "max_position_embeddings": LENGTH,
    }
    return Transformers(config=config, classes=CLASSES)


def _tokenizer() -> dict[str, Any]:
    """Return a tokenizer that makes one token of each word."""
    vocabulary = {"[PAD]": 0} | {f"w{number}": number + 1 for number in range(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return {"kind": "tokenizer", "content": json.loads(tokenizer.to_str()), "max_tokens": LENGTH}


_WIDTHS = (16, 32, 64, 128)
IMAGES = Pair(
    name="images",
    teacher=Resnet(depth=14, widths=_WIDTHS, classes=CLASSES),
    student=Resnet(depth=8, widths=_WIDTHS, classes=CLASSES),
    shape=(3, 32, 32),
    batch=64,
)
TEXTS = Pair(
    name="texts",
    teacher=_bert(4, 256),
    student=_bert(2, 128),
    shape=(LENGTH,),
    batch=32,
    preprocessing=_tokenizer(),
)
