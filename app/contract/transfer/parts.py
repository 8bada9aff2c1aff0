"""Labels and parts: what every transfer set has, whatever its format."""

from pydantic import Field, model_validator

from app.contract.base import Contract

UNLABELLED = -1
"""The label of a sample that has none."""
SPLITS = ("train", "validation", "test")
"""A given split column numbers the parts in this order."""


class Splits(Contract):
    """How the set is divided; drawn once from the seed, stratified by label, and the same for every job on the set."""

    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of the samples for validation."""
    test: float = Field(default=0.0, ge=0, lt=1)
    """Share of the samples held back for the report."""
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _leaves_training(self) -> "Splits":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave something to train on (their sum is below 1)")
        return self
