"""Transfer sets: the data that carries the teacher's knowledge over, one file a format, as in the engine."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from app.contract.transfer.format import Format
from app.contract.transfer.images import Images
from app.contract.transfer.parts import SPLITS, UNLABELLED, Splits
from app.contract.transfer.table import Table
from app.contract.transfer.tagged_words import TaggedWords
from app.contract.transfer.tensors import Tensors
from app.contract.transfer.text import Text


def _arrays_by_default(given: Any) -> Any:
    return {"kind": "tensors", **given} if isinstance(given, dict) else given


TransferFormat = Annotated[
    Tensors | Text | TaggedWords | Images | Table, Field(discriminator="kind"), BeforeValidator(_arrays_by_default)
]
"""A format without a `kind` means arrays."""
FORMAT: TypeAdapter[TransferFormat] = TypeAdapter(TransferFormat)
FORMATS: tuple[type[Format], ...] = (Tensors, Text, TaggedWords, Images, Table)

__all__ = [
    "FORMAT",
    "FORMATS",
    "SPLITS",
    "UNLABELLED",
    "Format",
    "Images",
    "Splits",
    "Table",
    "TaggedWords",
    "Tensors",
    "Text",
    "TransferFormat",
]
