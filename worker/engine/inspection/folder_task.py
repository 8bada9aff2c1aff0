"""What the network of a Hugging Face folder is for: classes, embeddings and how these are made, or next tokens."""

from typing import Any, Literal

from app.contract.registration import HuggingFace
from worker.engine.failures import Refused
from worker.engine.inspection.folder_archive import CONFIG, Folder

Task = Literal["sequence_classification", "token_classification", "embedding", "causal_lm"]
_ENDINGS: dict[str, Task] = {
    "ForTokenClassification": "token_classification",
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "Model": "embedding",
}
"""Of the library's classes, in this order."""
_WIDTHS = ("hidden_size", "dim", "n_embd", "d_model")
_POOLING = "1_Pooling/config.json"
_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_STEPS = {"Transformer", "Pooling", "Normalize"}


def task_of(config: dict[str, Any], wanted: HuggingFace) -> Task:
    """Return what is asked for, or else what the library's class is for that the config names."""
    if wanted.task:
        return wanted.task
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    return next((task for ending, task in _ENDINGS.items() if name.endswith(ending)), "sequence_classification")


def language_model_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `Transformers` that a language model has. Raises Refused."""
    if not isinstance(config.get("vocab_size"), int):
        raise Refused(f"The folder's {CONFIG} does not say how many tokens it tells apart (vocab_size).")
    return {"task": "causal_lm", "classes": config["vocab_size"]}


def embedding_of(folder: Folder) -> dict[str, Any]:
    """Return the fields of `Transformers` that say how embeddings are made. Raises Refused."""
    config = folder.table(CONFIG)
    width = next((config[name] for name in _WIDTHS if isinstance(config.get(name), int)), None)
    if width is None:
        raise Refused(f"The folder's {CONFIG} does not say how wide its hidden states are (hidden_size).")
    steps = _steps(folder)
    return {
        "task": "embedding", "classes": width, "pooling": _pooling(folder), "normalize": "Normalize" in steps,
    }  # fmt: skip


def _steps(folder: Folder) -> list[str]:
    modules = folder.content("modules.json", [])
    if not isinstance(modules, list):
        raise Refused("The folder's modules.json is not a list of modules.")
    steps = [str(module.get("type", "")).rpartition(".")[2] for module in modules if isinstance(module, dict)]
    if unknown := [step for step in steps if step not in _STEPS]:
        raise Refused(f"The folder's modules.json has steps that are not known here: {', '.join(unknown)}.")
    return steps


def _pooling(folder: Folder) -> str:
    settings = folder.table(_POOLING)
    on = [name for name, value in settings.items() if name.startswith("pooling_mode") and value is True]
    known = [_MODES[name] for name in on if name in _MODES]
    if on and (len(on) > 1 or not known):
        raise Refused(f"The folder's {_POOLING} pools otherwise than by the mean or the first token: {', '.join(on)}.")
    return known[0] if known else "mean"
