"""Blends of two samples."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Mixup(Augmentation):
    """λ · sample + (1 - λ) · another training sample, λ ~ Beta(α, α).

    Labels are mixed alike; the teacher sees the blend.
    """

    title: ClassVar[str] = "Mixup"
    paper: ClassVar[str] = "Zhang et al. 2018, arXiv:1710.09412; with a teacher: Beyer et al. 2022, arXiv:2106.05237"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array", "image"})
    mixes: ClassVar[bool] = True

    kind: Literal["mixup"] = "mixup"
    alpha: float = Field(default=0.2, gt=0, le=100)
