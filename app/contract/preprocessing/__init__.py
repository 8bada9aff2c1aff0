"""Preprocessing: what a user may set, one file each. `worker/engine/preprocessing/` does the work."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from app.contract.preprocessing.image import Image
from app.contract.preprocessing.preprocessing import MASKED, Preprocess
from app.contract.preprocessing.tokenizer import Tokenizer
from app.contract.preprocessing.words import Words

Preprocessing = Annotated[Words | Tokenizer | Image, Field(discriminator="kind")]
PREPROCESSING: TypeAdapter[Preprocessing] = TypeAdapter(Preprocessing)
PREPROCESSINGS: tuple[type[Preprocess], ...] = (Words, Tokenizer, Image)

__all__ = ["MASKED", "PREPROCESSING", "PREPROCESSINGS", "Image", "Preprocess", "Preprocessing", "Tokenizer", "Words"]
