"""Pickled state dicts: the one place that reads pickles, with torch's weights-only unpickler, in a sandboxed child.

Nothing runs: classes outside torch's allow-list are refused by name. What is refused before the unpickler sees it:
compressed entries (1 MB grew to 1.25 GiB), and afterwards: tensors larger than the memory behind them, memory that does
not come from the file, sparse layouts.
"""

import pickle
import reprlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.engine.failures import Refused, out_of_memory
from worker.engine.files.names import repeated
from worker.engine.files.tensor_file import MAX_TENSORS
from worker.engine.files.zip_entries import read_entries
from worker.engine.networks.fit import listed

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PICKLE_BYTES = 16 * 2**20
"""Without the values, which lie beside it: 100,000 tensors and more, and a minute's work."""
_SHARING = 16
"""Times that all values may be shared: an LSTM's or tied weights are views of the same ones, a bomb in thousands."""


def load(path: Path) -> dict[str, Tensor]:
    """Return the state dict's tensors in its own order. Raises Refused."""
    _check_stored(path)
    tensors = _state_dict(_unpickled(path))
    if len(tensors) > MAX_TENSORS:
        raise Refused(f"The file holds {len(tensors):,} tensors; at most {MAX_TENSORS:,} are read.")
    for name, tensor in tensors.items():
        _check_plain(name, tensor)
    _check_together(path, tensors)
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _check_stored(path: Path) -> None:
    entries = read_entries(path)
    if twice := repeated(entry.filename for entry in entries):
        raise Refused(f"The archive names {twice!r} twice.")
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise Refused(f"The archive has compressed entries ({listed(packed)}), which torch.save never writes: refused.")
    for entry in entries:
        if entry.filename.endswith("data.pkl") and entry.file_size > _PICKLE_BYTES:
            text = (
                f"The archive's {entry.filename!r} claims {entry.file_size:,} bytes; at most {_PICKLE_BYTES:,} are read"
            )
            raise Refused(f"{text}: save the tensors alone.")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise Refused("The archive's entries overlap: together they are larger than the file.")


def _unpickled(path: Path) -> Any:
    try:
        with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Refused(_foreign(path)) from error
    except Exception as error:
        if isinstance(error, OSError) or out_of_memory(error):
            raise
        raise Refused(f"The pickled state dict is damaged ({type(error).__name__}: {error}).") from error


def _foreign(path: Path) -> str:
    advice = "save the tensors alone, with torch.save(model.state_dict(), path)"
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - as above; the names would only have made the sentence better
        names = []
    if not names:
        return f"The file is not a plain pickled state dict: {advice}."
    return f"The file would have to run code to be read (it names {listed(names)}): {advice}."


def _state_dict(content: Any) -> dict[str, Tensor]:
    for _ in range(3):
        if not isinstance(content, Mapping):
            raise Refused(f"The file holds a {type(content).__name__}, not a state dict.")
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not content:
        raise Refused("The state dict is empty.")
    foreign = [
        key if isinstance(key, str) else reprlib.repr(key)  # whose own repr may have no end
        for key, value in content.items()
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if foreign:
        raise Refused(f"A state dict holds tensors alone; these entries are something else: {listed(foreign)}.")
    return dict(content)


def _check_plain(name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized or tensor.device.type != "cpu":
        what = f"{tensor.layout}, {tensor.dtype}, {tensor.device}"
        raise Refused(f"The tensor {name!r} is not a plain dense one ({what}): refused.")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise Refused(f"The tensor {name!r} claims more values than are stored for it: refused.")


def _check_together(path: Path, tensors: Mapping[str, Tensor]) -> None:
    size = path.stat().st_size
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    if sum(storages.values()) > size:
        raise Refused("The tensors hold more values than the file: some are made of nothing.")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > _SHARING * size:
        raise Refused(f"The tensors share their values: together they are more than {_SHARING} times the file.")
