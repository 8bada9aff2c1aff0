"""What a registration says of an upload that tells by itself what it holds, and what that turns out to be."""

import re
from typing import Annotated, Literal

from pydantic import Field

from app.contract.architectures import Architecture
from app.contract.base import Contract
from app.contract.class_names import ClassNames
from app.contract.preprocessing import Preprocessing


class HuggingFace(Contract):
    """A Hugging Face folder as a .zip, .tar or .tar.gz archive; its inspection makes it a `transformers` network.

    It holds config.json (its `id2label` names the classes), the weights (model.safetensors or pytorch_model.bin, whole
    or in shards with their index), and tokenizer.json or the vocab.txt of a BERT; other files are passed over.
    """

    kind: Literal["huggingface"] = "huggingface"
    task: Literal["sequence_classification", "token_classification", "embedding", "causal_lm"] | None = None
    """By default what config.json says under `architectures`: `BertForTokenClassification` classifies words,
    `LlamaForCausalLM` predicts tokens; of a body alone (`BertModel`) embeddings, pooled and normalised as the folder's
    modules.json and 1_Pooling/config.json say, if it has them (sentence-transformers)."""
    max_tokens: int | None = Field(default=None, ge=1, le=65_536)
    """Where its tokenizer cuts texts; by default where tokenizer.json does, else at 128, never beyond its positions."""


PAPERS = frozenset({
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
    "modules.json", "1_Pooling/config.json",
    "model.safetensors.index.json", "pytorch_model.bin.index.json",
})  # fmt: skip
"""What is read of a Hugging Face folder beside its weights."""
WEIGHTS = (re.compile(r"model(-\d+-of-\d+)?\.safetensors"), re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin"))
"""Names of its weights; of a folder that has both forms the first is taken."""
Described = Annotated[Architecture | HuggingFace, Field(discriminator="kind")]
"""An architecture, or an upload that brings its own."""


class Resolved(Contract):
    """What an upload that tells by itself what it holds turned out to be."""

    architecture: Architecture
    preprocessing: Preprocessing | None
    class_names: ClassNames | None
