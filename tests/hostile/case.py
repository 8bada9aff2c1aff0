"""What a hostile upload is: how its bytes are made, as what it is registered, and what its sender must be told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.contract.architectures import Architecture, Mlp
from app.contract.job_file import InspectDataset, InspectModel
from app.contract.registration import HuggingFace
from app.contract.transfer import FORMAT, Splits

Write = Callable[[Path], object]
"""Makes the file, always the same one, and small: what it claims may be large."""
MLP = Mlp(inputs=6, hidden=(5,), classes=3)


@dataclass(frozen=True)
class Case:
    name: str
    write: Write
    subject: InspectModel | InspectDataset
    said: str
    """A regular expression, found in the problems that the inspection tells; empty: the upload is taken."""


def model(name: str, write: Write | bytes, said: str, architecture: Architecture | HuggingFace = MLP) -> Case:
    """Return a case that is registered as a model."""
    return Case(name, _writer(write), InspectModel(architecture=architecture), said)


def dataset(name: str, write: Write | bytes, said: str, kind: str = "tensors", **form: Any) -> Case:
    """Return a case that is registered as a transfer set."""
    format_ = FORMAT.validate_python({"kind": kind, **form})
    return Case(name, _writer(write), InspectDataset(format=format_, splits=Splits()), said)


def _writer(write: Write | bytes) -> Write:
    return (lambda path: path.write_bytes(write)) if isinstance(write, bytes) else write


def marker(upload: Path) -> Path:
    """Return the folder that appears where an upload's code runs."""
    return upload.with_name("marker")


Files = Mapping[str, bytes]
