"""What the transformers library wants beside a student of its own: `config.json` and the tokenizer.

`AutoModelForSequenceClassification.from_pretrained(folder)`, or its like (`Transformers.auto_class`), then opens the
folder as it is: the config names the file of the weights. A student that goes by the names of a user's own class is
that class's to open, and gets no config.
"""

import json
from pathlib import Path
from typing import Any

from app.contract.architectures import Transformers
from app.contract.preprocessing import Tokenizer
from worker.engine.checkpoint import write_bytes
from worker.engine.networks import blueprint
from worker.engine.preprocessing.tokenizer import of_words
from worker.engine.published import student_file
from worker.engine.published.distilled import Distilled


def write(out: Path, made: Distilled) -> None:
    """Write what goes with the student, if it is one of these."""
    architecture = made.job.student.architecture
    if not isinstance(architecture, Transformers) or not made.own_names:
        return
    network: Any = blueprint.outline(architecture)
    config = network.config
    if not architecture.predicts_tokens():
        names = made.class_names or tuple(f"LABEL_{number}" for number in range(architecture.classes))
        config.id2label, config.label2id = dict(enumerate(names)), {name: number for number, name in enumerate(names)}
    config.architectures = [type(network).__name__]
    config.transformers_weights = student_file.NAME
    write_bytes(out / "config.json", config.to_json_string().encode())
    if isinstance(made.preprocessing, Tokenizer):
        _write_tokenizer(out, made.preprocessing, config.pad_token_id, words=architecture.tags_words())


def _write_tokenizer(out: Path, settings: Tokenizer, padding: int, *, words: bool) -> None:
    content = of_words(settings.content) if words else settings.content
    tokens = {number: token for token, number in settings.numbered()}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": settings.max_tokens}
    if padding in tokens:
        about |= {"pad_token": tokens[padding]}
    write_bytes(out / "tokenizer.json", json.dumps(content, ensure_ascii=False).encode())
    write_bytes(out / "tokenizer_config.json", json.dumps(about, indent=2, ensure_ascii=False).encode() + b"\n")
