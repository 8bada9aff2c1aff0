"""The weights of a Hugging Face folder, whole or in shards, and the names that the library's networks give them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from worker.engine.failures import Refused
from worker.engine.inspection.folder_archive import Folder
from worker.engine.inspection.weights import read_weights
from worker.engine.networks.fit import listed

_FORMS = (("model", ".safetensors"), ("pytorch_model", ".bin"))
"""In this order: where a folder has both, the first is taken."""
_LEGACY = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
"""Of checkpoints that were converted from TensorFlow."""


def tensors_of(folder: Folder, scratch: Path, most: int) -> dict[str, Tensor]:
    """Return the tensors under the file's names; at most `most` bytes are unpacked. Raises Refused."""
    for stem, suffix in _FORMS:
        index = _index(folder, stem, suffix)
        names = sorted(set(index.values())) if index else [stem + suffix] if stem + suffix in folder.names else []
        if names:
            found = folder.copy(names, scratch, most)
            return _joined({name: read_weights(path).tensors for name, path in found.items()}, index)
    raise Refused(
        f"The folder has no weights: neither model.safetensors nor pytorch_model.bin; it has {listed(folder.names)}."
    )


def _index(folder: Folder, stem: str, suffix: str) -> dict[str, str]:
    """Return the shard of each tensor; nothing where there are no shards. Raises Refused."""
    name, whole = f"{stem}{suffix}.index.json", stem + suffix
    shards = {file for file in folder.names if re.fullmatch(rf"{stem}-\d+-of-\d+{re.escape(suffix)}", file)}
    if name not in folder.names:
        if shards and whole not in folder.names:
            raise Refused(f"The folder has the shards {listed(sorted(shards))}, and {name}, their index, is missing.")
        return {}
    if whole in folder.names:
        raise Refused(f"The folder has the weights twice: as {whole}, and in shards by {name}. Leave one of them out.")
    index = folder.table(name).get("weight_map")
    if not isinstance(index, dict) or not index or not all(isinstance(shard, str) for shard in index.values()):
        raise Refused(f"The folder's {name} has no weight_map from tensors to shards.")
    if missing := sorted(set(index.values()) - folder.names):
        raise Refused(f"The folder lacks shards that {name} names: {listed(missing)}.")
    if more := sorted(shards - set(index.values())):
        raise Refused(f"The folder has shards that {name} does not name: {listed(more)}.")
    return index


def _joined(shards: Mapping[str, Mapping[str, Tensor]], index: Mapping[str, str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for shard, found in shards.items():
        if twice := sorted(tensors.keys() & found.keys()):
            raise Refused(f"The shard {shard} holds tensors that another shard holds too: {listed(twice)}.")
        tensors |= found
    astray = sorted(name for name, shard in index.items() if name not in shards[shard])
    if astray:
        raise Refused(f"Tensors are not in the shards in which the index has them: {listed(astray)}.")
    return tensors


def under_own_names(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors under the network's names, without what the library itself passes over. Raises Refused.

    A body's tensors may go by the body's own names, and the counters of positions that older versions stored are gone.
    """
    own = network.state_dict().keys()
    passed_over = {name for name, _ in network.named_buffers()} - own
    patterns = getattr(network, "_keys_to_ignore_on_load_unexpected", None) or ()
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        known = _known(name, own | passed_over, network.base_model_prefix)  # type: ignore[arg-type]  # the library's
        if known in passed_over or (known not in own and any(re.search(pattern, known) for pattern in patterns)):
            continue
        if known in named:
            raise Refused(f"The folder holds the tensor {known} twice, once of them as {name}.")
        named[known] = tensor
    # In the network's order, so that the same weights are the same bytes however they came.
    return {name: named[name] for name in (*own, *(named.keys() - own)) if name in named}


def _known(name: str, known: Iterable[str], prefix: str) -> str:
    for old, new in _LEGACY:
        name = f"{name.removesuffix(old)}{new}" if name.endswith(old) else name
    candidates = (name, f"{prefix}.{name}", name.removeprefix(f"{prefix}."))
    return next((candidate for candidate in candidates if candidate in known), name)
