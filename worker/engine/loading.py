"""How a published student is loaded: a few lines of Python for its card, which run in the student's folder."""

from app.contract.architectures import Graph, Timm, Transformers
from app.contract.preprocessing import Tokenizer
from worker.engine.architectures.timm import arguments_of
from worker.engine.distilled import Distilled

_TIMM = """import timm

model = timm.create_model({name!r}, {arguments}, checkpoint_path="student.safetensors").eval()
"""
_TRANSFORMERS = """from transformers import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained(".").eval()
"""
_TOKENIZED = """from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForSequenceClassification.from_pretrained(".").eval()
logits = model(**tokenizer(["A text."], return_tensors="pt", truncation=True)).logits
"""
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
        return _TOKENIZED if isinstance(made.preprocessing, Tokenizer) else _TRANSFORMERS
    return _OURS.format(sample=_sample(made))


def _sample(made: Distilled) -> str:
    if made.sample_kind == "text":
        return '["A text."]'
    sizes = ", ".join(map(str, (1, *made.sample_shape)))
    return f"255 * torch.rand({sizes})" if made.sample_kind == "image" else f"torch.rand({sizes})"
