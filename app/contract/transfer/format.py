"""What every format of a transfer set has in common."""

from typing import ClassVar

from app.contract.base import Contract
from app.contract.samples import SampleKind


class Format(Contract):
    """A kind of file that holds samples and, where there are any, their labels and parts."""

    title: ClassVar[str]
    holds: ClassVar[SampleKind]
    """What its samples are."""
    fitted: ClassVar[bool] = False
    """Whether what a sample looks like depends on the training part."""

    kind: str
