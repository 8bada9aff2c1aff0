"""Preprocessing: what a user may set, one file each. `worker/engine/preprocessing/` does the work."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from app.contract.preprocessing.preprocessing import MASKED, Preprocess
from app.contract.preprocessing.tokenizer import Tokenizer
from app.contract.preprocessing.words import Words

Preprocessing = Annotated[Words | Tokenizer, Field(discriminator="kind")]
PREPROCESSING: TypeAdapter[Preprocessing] = TypeAdapter(Preprocessing)
PREPROCESSINGS: tuple[type[Preprocess], ...] = (Words, Tokenizer)

__all__ = ["MASKED", "PREPROCESSING", "PREPROCESSINGS", "Preprocess", "Preprocessing", "Tokenizer", "Words"]
