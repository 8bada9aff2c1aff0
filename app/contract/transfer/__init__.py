"""Transfer sets: the data that carries the teacher's knowledge over, one file a format, as in the engine."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from app.contract.transfer.format import Format
from app.contract.transfer.parts import SPLITS, UNLABELLED, Splits
from app.contract.transfer.tensors import Tensors
from app.contract.transfer.text import Text

TransferFormat = Annotated[Tensors | Text, Field(discriminator="kind")]
FORMAT: TypeAdapter[TransferFormat] = TypeAdapter(TransferFormat)
FORMATS: tuple[type[Format], ...] = (Tensors, Text)

__all__ = ["FORMAT", "FORMATS", "SPLITS", "UNLABELLED", "Format", "Splits", "Tensors", "Text", "TransferFormat"]
