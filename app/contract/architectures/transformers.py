"""Classifiers of texts and words, sentence embeddings and causal language models of the transformers library."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from app.contract.architectures.family import Family
from app.contract.samples import SampleKind
from app.contract.taps import Tap, tokens_tap, vector_tap

_DROPPED = frozenset({
    # say where a network comes from, or what its labels were called
    "_name_or_path", "name_or_path", "architectures", "transformers_version", "finetuning_task", "id2label", "label2id",
    "num_labels", "problem_type", "task_specific_params", "_attn_implementation_autoset",
    # are the worker's to choose
    "torch_dtype", "dtype", "use_cache", "return_dict", "output_attentions", "output_hidden_states",
    "gradient_checkpointing",
})  # fmt: skip
"""Fields of a config.json that change nothing here, and are left out."""
_FORBIDDEN = re.compile(
    r"auto_map|trust_remote_code|custom_pipelines|.*attn_implementation.*|.*experts_implementation.*|.*kernel_config.*|"
    r"use_kernels|quantization_config|.*backbone.*|.*pretrained.*|.*checkpoint.*|.*adapter.*|.*peft.*|.*url.*"
)
"""Fields that load code or weights from elsewhere, at any depth. What is left are numbers and words, never paths."""
_WORD = re.compile(r"[\w .,+:<>|\[\]()-]{0,200}")
_MAX_DEPTH = 6
_POSITIONS = ("max_position_embeddings", "n_positions")
_AUTO_CLASSES = {
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "embedding": "AutoModel",
    "causal_lm": "AutoModelForCausalLM",
}
_WITHOUT_ONNX = frozenset({"token_classification", "causal_lm"})
_COUNT_FROM_PADDING = frozenset({
    "camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
})  # fmt: skip
"""Model types whose first position is the padding token's number + 1."""


_PLAIN = frozenset({"bert", "electra", "roberta"})
"""Model types whose taps are known without the library."""


class Transformers(Family):
    """What transformers builds from a config.json for texts as wholes or for their words, never with code of others.

    Parameter names are the library's own: `AutoModelForSequenceClassification`, `AutoModelForTokenClassification`,
    `AutoModelForCausalLM`, or `AutoModel` for embeddings, opens a student beside its config. The worker needs
    `stillhouse[transformers]`.
    """

    title: ClassVar[str] = "Transformer of the transformers library"
    sample_axes: ClassVar[str] = "a text, or a list of words"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text", "words"})

    kind: Literal["transformers"] = "transformers"
    config: dict[str, Any] = Field(max_length=500)
    """What config.json holds: `model_type`, `vocab_size`, and the sizes of the network."""

    task: Literal["sequence_classification", "token_classification", "embedding", "causal_lm"] = (
        "sequence_classification"
    )
    """`token_classification`: a class for each word of a list, read off its first token. `embedding`: the body alone,
    its last hidden states pooled; `classes` is then the width of an embedding. `causal_lm`: for each token of a text
    what the next one is; `classes` is then the config's `vocab_size`."""
    pooling: Literal["mean", "cls"] = "mean"
    """Of an embedding: the mean over all tokens but padding, or the first token."""
    normalize: bool = False
    """Whether an embedding is divided by its length."""

    @field_validator("config")
    @classmethod
    def _harmless(cls, config: dict[str, Any]) -> dict[str, Any]:
        config = {name: value for name, value in config.items() if name not in _DROPPED}
        for path, value in _entries(config, "", 0):
            if _FORBIDDEN.fullmatch(path.rpartition(".")[2]):
                raise ValueError(
                    f"the field '{path}' cannot be given: networks are built by the library's own code alone"
                )
            if isinstance(value, str) and not _WORD.fullmatch(value):
                raise ValueError(f"the field '{path}' must be a number or a word; {value[:50]!r} could name a file")
        if type(config.get("model_type")) is not str:
            raise ValueError("the field 'model_type' is missing, such as 'bert'")
        if not isinstance(config.get("vocab_size"), int) or not 3 <= config["vocab_size"] <= 2_000_000:
            raise ValueError("the field 'vocab_size' is missing: a whole number from 3 to 2,000,000")
        return config

    @model_validator(mode="after")
    def _tells_tokens_apart(self) -> Self:
        if self.predicts_tokens() and self.classes != self.embeds():
            raise ValueError(
                f"of the task causal_lm the classes are the tokens, {self.embeds():,} of them (vocab_size)"
            )
        return self

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        if kind == "words" and not self.tags_words():
            return f"of the task {self.task} it takes texts as wholes, and these are lists of words"
        if kind == "text" and self.tags_words():
            return (
                "of the task token_classification it takes lists of words (format `tagged_words`), and these are texts"
            )
        return super().refuses(kind, shape)

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        return None

    def refuses_onnx(self) -> str | None:
        if self.task in _WITHOUT_ONNX:
            return f"a student of the task {self.task} is not exported as ONNX: open it with transformers"
        return super().refuses_onnx()

    def shares_names(self, other: Family) -> bool:
        if not isinstance(other, Transformers):
            return False
        return (other.task, other.config["model_type"]) == (self.task, self.config["model_type"])

    @property
    def auto_class(self) -> str:
        """The library's class that opens such a network beside its config."""
        return _AUTO_CLASSES[self.task]

    def gives_embeddings(self) -> bool:
        return self.task == "embedding"

    def tags_words(self) -> bool:
        return self.task == "token_classification"

    def predicts_tokens(self) -> bool:
        return self.task == "causal_lm"

    def embeds(self) -> int:
        return int(self.config["vocab_size"])

    def longest(self) -> int | None:
        found = next((self.config[name] for name in _POSITIONS if isinstance(self.config.get(name), int)), None)
        if found is None or self.config["model_type"] not in _COUNT_FROM_PADDING:
            return found
        padding = self.config.get("pad_token_id")
        return int(found) - 1 - (padding if isinstance(padding, int) else 1)

    def flops(self, shape: tuple[int, ...]) -> None:
        return None

    def typical_sample(self) -> tuple[int, ...]:
        return (min(8, self.longest() or 8),)

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap] | None:
        sizes = [self.config.get(name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads")]
        if self.config["model_type"] not in _PLAIN or self.task != "sequence_classification":
            return None
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            return None  # the library's own defaults, which it alone knows
        layers, width, heads = (int(size) for size in sizes if size)
        scores = {f"attention:{layer}": ("attention", (heads, None, None)) for layer in range(layers)}
        heard = {f"qkv:{layer}": ("qkv", (3, heads, None, width // heads)) for layer in range(layers)}
        return [
            *(tokens_tap(f"hidden:{layer}", None, width) for layer in range(layers + 1)),
            vector_tap("pooled", width),
            *(Tap(name=name, layout=layout, shape=found) for name, (layout, found) in (scores | heard).items()),
            vector_tap("logits", self.classes),
        ]

    def size(self) -> None:
        return None


def _entries(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield every field below `value` with its path, lists' items under their list's."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"the field '{path}' is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _entries(below, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        for below in value:
            yield from _entries(below, path, depth + 1)
    if path:
        yield path, value
