"""What a registered model's row says, as the contract's classes."""

from typing import Any

from pydantic import TypeAdapter

from app.contract.architectures import Architecture, Family
from app.contract.class_names import Names
from app.contract.preprocessing import PREPROCESSING, Preprocessing
from app.contract.registration import Described, HuggingFace
from app.db.tables import Model

_ARCHITECTURE: TypeAdapter[Any] = TypeAdapter(Architecture)
_DESCRIBED: TypeAdapter[Described] = TypeAdapter(Described)


def described_as(model: Model) -> Described:
    """Return the model's architecture, or what was said of an upload that is still to tell its own."""
    return _DESCRIBED.validate_python(model.architecture)


def is_resolved(model: Model) -> bool:
    """Return whether the model's architecture is known."""
    return not isinstance(described_as(model), HuggingFace)


def architecture_of(model: Model) -> Family:
    """Return the architecture, which must be known, as the contract's class."""
    architecture: Family = _ARCHITECTURE.validate_python(model.architecture)
    return architecture


def key_map_of(model: Model) -> dict[str, str]:
    """Return the key map in force: the one given, or the one that the inspection found."""
    return dict((model.inspection or {}).get("key_map") or model.key_map or {})


def class_names_of(model: Model) -> Names:
    """Return what the model's outputs stand for; empty where that is not known."""
    return tuple(model.class_names or ())


def preprocessing_of(model: Model) -> Preprocessing | None:
    """Return the preprocessing in force: the one given, or the one that the inspection found in the file."""
    known = model.preprocessing or (model.inspection or {}).get("preprocessing")
    return None if known is None else PREPROCESSING.validate_python(known)
