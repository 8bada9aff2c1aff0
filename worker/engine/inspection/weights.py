"""The tensors of an upload, whatever the file's form."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from worker.engine.failures import Refused
from worker.engine.files import tensor_file
from worker.engine.files.archives import archive_form
from worker.engine.files.file_kinds import recognise
from worker.engine.inspection import converter
from worker.engine.networks.fit import Shape

_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,512}")
_REASONS = {
    "legacy pickle": "The file is a bare pickle, perhaps of torch.save before version 1.6: load it and torch.save its "
    "state dict again.",
    "torchscript": "The file is a TorchScript archive, which runs code when used: refused. Save model.state_dict().",
    "onnx": "The file is an ONNX model, which can only teach: register it as {kind: onnx, classes: ...}.",
    "pt2": "The file is a torch.export archive (.pt2), which runs code when loaded: refused. Save model.state_dict().",
}


@dataclass(frozen=True)
class Weights:
    """Tensors under the user's names; `ordered` where the file keeps the state dict's order."""

    format: Literal["safetensors", "pickled state dict", "hugging face folder"]
    tensors: dict[str, Tensor]
    ordered: bool
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def read_weights(path: Path) -> Weights:
    """Return the tensors of an upload. Raises Refused."""
    kind = recognise(path)
    if kind.name == "safetensors":
        tensors, metadata = tensor_file.load(path)
        _check_names(tensors)
        return Weights("safetensors", tensors, ordered=False, metadata=metadata)
    if kind.name == "torch":
        tensors = converter.load(path)
        _check_names(tensors)
        return Weights("pickled state dict", tensors, ordered=True)
    fallback = f"The file is neither safetensors nor a pickled state dict: it looks like {kind.words}."
    if archive_form(path):
        fallback += " A Hugging Face folder is registered as {kind: huggingface}."
    raise Refused(_REASONS.get(kind.name, fallback))


def _check_names(names: Iterable[str]) -> None:
    strange = next((name for name in names if not _NAME.fullmatch(name)), None)
    if strange is not None:
        text = f"The file holds a tensor named {strange[:100]!r}"
        raise Refused(
            f"{text}: names have 1 to 512 characters, and neither control characters nor halves of characters."
        )
