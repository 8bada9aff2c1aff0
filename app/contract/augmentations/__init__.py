"""Augmentations: what a user may set, one file each. `worker/engine/augmentations/` does the work."""

from typing import Annotated

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.augmentations.colour import Colour
from app.contract.augmentations.crop import Crop
from app.contract.augmentations.cutmix import Cutmix
from app.contract.augmentations.flip import Flip
from app.contract.augmentations.mask import Mask
from app.contract.augmentations.mixup import Mixup
from app.contract.augmentations.munge import Munge
from app.contract.augmentations.ngram import Ngram
from app.contract.augmentations.noise import Noise
from app.contract.augmentations.same_part_of_speech import SamePartOfSpeech

AugmentationStep = Annotated[
    Noise | Crop | Flip | Colour | Mixup | Cutmix | Munge | Mask | SamePartOfSpeech | Ngram, Field(discriminator="kind")
]
AUGMENTATIONS: tuple[type[Augmentation], ...] = (
    Noise,
    Crop,
    Flip,
    Colour,
    Mixup,
    Cutmix,
    Munge,
    Mask,
    SamePartOfSpeech,
    Ngram,
)

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "AugmentationStep",
    "Colour",
    "Crop",
    "Cutmix",
    "Flip",
    "Mask",
    "Mixup",
    "Munge",
    "Ngram",
    "Noise",
    "SamePartOfSpeech",
]
