"""How a published student is loaded: a few lines of Python for its card, which run in the student's folder."""

from app.contract.architectures import Graph, Timm, Transformers
from app.contract.preprocessing import Tokenizer
from worker.engine.architectures.timm import arguments_of
from worker.engine.published.distilled import Distilled

_TIMM = """import timm

model = timm.create_model({name!r}, {arguments}, checkpoint_path="student.safetensors").eval()
"""
_TRANSFORMERS = """from transformers import {opens}

model = {opens}.from_pretrained(".").eval()
"""
_TOKENIZED = """from transformers import {opens}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = {opens}.from_pretrained(".").eval()
"""
_ANSWERED = {
    "sequence_classification": """logits = model(**tokenizer(["A text."], return_tensors="pt", truncation=True)).logits
""",
    "token_classification": """words = ["Some", "words"]
tokens = tokenizer(words, is_split_into_words=True, return_tensors="pt", truncation=True)
first = [tokens.word_ids().index(number) for number in range(len(words))]  # the first token of each word
logits = model(**tokens).logits[0, first]
""",
    "causal_lm": """tokens = tokenizer("A text", return_tensors="pt", truncation=True)
logits = model(**tokens).logits  # those at each token are about the next one
text = tokenizer.decode(model.generate(**tokens, max_new_tokens=8)[0])
""",
    "embedding": """hidden = model(**tokenizer(["A text."], return_tensors="pt", truncation=True)).last_hidden_state
""",
}
_OURS = """import torch

from worker.engine.opening import open_student

student = open_student(".")
with torch.inference_mode():
    logits = student({sample})
"""


def library(made: Distilled) -> str:
    """Return the library that opens the student's files."""
    architecture = made.job.student.architecture
    return made.kind if isinstance(architecture, Timm | Transformers) and made.own_names else "stillhouse"


def words(made: Distilled) -> str:
    """Return what has to be known before."""
    if library(made) == "timm":
        return "With timm; what it does to pixels stands in `manifest.json`, under `preprocessing`."
    if library(made) == "transformers":
        reads = "its tokenizer lies here" if isinstance(made.preprocessing, Tokenizer) else "it reads words"
        return f"With transformers 5 or newer; {reads}, as in `manifest.json` under `preprocessing`."
    family = made.own_names and not isinstance(made.job.student.architecture, Graph)
    yours = "" if family else " Or into a class of your own, by its names: `load_state_dict(..., strict=True)`."
    return f"With `pip install 'stillhouse[worker]'`, which prepares samples as in training.{yours}"


def snippet(made: Distilled) -> str:
    """Return the lines."""
    architecture = made.job.student.architecture
    if library(made) == "timm":
        assert isinstance(architecture, Timm)
        arguments = ", ".join(f"{name}={value!r}" for name, value in arguments_of(architecture).items())
        return _TIMM.format(name=architecture.name, arguments=arguments)
    if library(made) == "transformers":
        assert isinstance(architecture, Transformers)
        tokenized = isinstance(made.preprocessing, Tokenizer)
        lines = _TOKENIZED + _ANSWERED[architecture.task] if tokenized else _TRANSFORMERS
        return lines.format(opens=architecture.auto_class)
    return _OURS.format(sample=_sample(made))


def _sample(made: Distilled) -> str:
    if made.sample_kind == "text":
        return '["A text."]'
    if made.sample_kind == "words":
        return '[["Some", "words"], ["and", "more"]]'
    sizes = ", ".join(map(str, (1, *made.sample_shape)))
    return f"255 * torch.rand({sizes})" if made.sample_kind == "image" else f"torch.rand({sizes})"
