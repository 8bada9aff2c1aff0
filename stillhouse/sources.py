"""What users hand over in place of a file: networks and arrays, written to a file of a safe format.

Torch, safetensors and NumPy are imported only where such an object is given, so its library is there already.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class HasStateDict(Protocol):
    """A torch.nn.Module, without importing torch."""

    def state_dict(self) -> Mapping[str, Any]: ...


Path_ = str | PathLike[str]
Weights = Path_ | HasStateDict | Mapping[str, Any]
"""A file, a torch.nn.Module, or its state dict."""
Arrays = Path_ | Mapping[str, Any]
"""A file, or arrays (NumPy arrays, tensors or lists), texts or a table's columns by name."""


@contextmanager
def weights_file(weights: Weights) -> Iterator[Path]:
    """Yield the path of the weights; a module or state dict is first written as safetensors."""
    if isinstance(weights, HasStateDict):
        weights = weights.state_dict()
    if not isinstance(weights, Mapping):
        yield Path(fspath(weights))
        return
    with TemporaryDirectory(prefix="stillhouse-") as folder:
        path = Path(folder, "weights.safetensors")
        _write_state_dict(weights, path)
        yield path


@contextmanager
def arrays_file(arrays: Arrays, *, in_rows: bool) -> Iterator[Path]:
    """Yield the path of the arrays' file; arrays in memory are first written as .npz, or `in_rows` as JSON Lines."""
    if not isinstance(arrays, Mapping):
        yield Path(fspath(arrays))
        return
    with TemporaryDirectory(prefix="stillhouse-") as folder:
        path = Path(folder, "rows.jsonl" if in_rows else "arrays.npz")
        write = _write_rows if in_rows else _write_arrays
        write(arrays, path)
        yield path


def holds_texts(arrays: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether these are columns by name, one of them of strings, and none called `inputs`."""
    if not isinstance(arrays, Mapping) or "inputs" in arrays:
        return False
    return any(isinstance(next(iter(column), None), str) for column in arrays.values())


def holds_words(arrays: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether these are columns by name, one of them of lists of words."""
    if not isinstance(arrays, Mapping):
        return False
    lists = next((arrays[name] for name in ("tokens", "words") if name in arrays), ())
    first = next(iter(lists), None)
    return isinstance(first, list | tuple) and bool(first) and isinstance(first[0], str)


def _write_state_dict(state: Mapping[str, Any], path: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415  # only those who hand over a network have it

    strange = [name for name, value in state.items() if not hasattr(value, "detach")]
    if strange:
        raise TypeError(f"a state dict holds tensors only; these are not: {', '.join(map(str, strange[:5]))}")
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in state.items()}, path)


def _write_rows(columns: Mapping[str, Any], path: Path) -> None:
    plain = {name: column.tolist() if hasattr(column, "tolist") else list(column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in plain.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths: {lengths}")
    with path.open("w", encoding="utf-8") as file:
        for values in zip(*plain.values(), strict=True):
            file.write(json.dumps(dict(zip(plain, values, strict=True)), ensure_ascii=False) + "\n")


def _write_arrays(arrays: Mapping[str, Any], path: Path) -> None:
    import numpy as np  # noqa: PLC0415  # only those who hand over arrays have it

    plain = {name: _array(name, value) for name, value in arrays.items()}
    np.savez(path, **plain)  # type: ignore[arg-type]  # its stub takes every keyword for allow_pickle


def _array(name: str, value: Any) -> "np.ndarray[Any, Any]":
    import numpy as np  # noqa: PLC0415  # as above

    array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    if array.dtype.hasobject:
        raise TypeError(f"'{name}' is not an array of numbers (its dtype is {array.dtype})")
    return array
