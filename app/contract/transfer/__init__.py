"""Transfer sets: the data that carries the teacher's knowledge over, one file a format, as in the engine."""

from pydantic import TypeAdapter

from app.contract.transfer.format import Format
from app.contract.transfer.parts import SPLITS, UNLABELLED, Splits
from app.contract.transfer.tensors import Tensors

TransferFormat = Tensors
FORMAT: TypeAdapter[TransferFormat] = TypeAdapter(TransferFormat)
FORMATS: tuple[type[Format], ...] = (Tensors,)

__all__ = ["FORMAT", "FORMATS", "SPLITS", "UNLABELLED", "Format", "Splits", "Tensors", "TransferFormat"]
