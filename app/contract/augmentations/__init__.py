"""Augmentations: what a user may set, one file each. `worker/engine/augmentations/` does the work."""

from typing import Annotated

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.augmentations.colour import Colour
from app.contract.augmentations.crop import Crop
from app.contract.augmentations.cutmix import Cutmix
from app.contract.augmentations.flip import Flip
from app.contract.augmentations.mixup import Mixup
from app.contract.augmentations.munge import Munge
from app.contract.augmentations.noise import Noise

AugmentationStep = Annotated[Noise | Crop | Flip | Colour | Mixup | Cutmix | Munge, Field(discriminator="kind")]
AUGMENTATIONS: tuple[type[Augmentation], ...] = (Noise, Crop, Flip, Colour, Mixup, Cutmix, Munge)

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "AugmentationStep",
    "Colour",
    "Crop",
    "Cutmix",
    "Flip",
    "Mixup",
    "Munge",
    "Noise",
]
