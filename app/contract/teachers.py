"""Who teaches: one registered model, or an ensemble of several."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from app.contract.base import Contract
from app.contract.students import ModelId


class Member(Contract):
    """One teacher of an ensemble."""

    model: ModelId
    weight: float = Field(default=1.0, gt=0, le=1e6)
    """Its share, relative to the others'."""


class Ensemble(Contract):
    """Several teachers that speak as one (Hinton et al. 2015, section 5); they may be of different families."""

    title: ClassVar[str] = "Ensemble"

    members: tuple[Member, ...] = Field(min_length=2, max_length=32)
    combine: Literal["probabilities", "logits"] = "probabilities"
    """`probabilities`: the weighted mean of the distributions; `logits`: that of the logits (a geometric mean)."""

    @field_validator("members")
    @classmethod
    def _differ(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        named = [member.model for member in members]
        twice = sorted({model for model in named if named.count(model) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice: give it a larger weight instead")
        return members


def _tag(value: Any) -> str:
    return "model" if isinstance(value, str) else "ensemble"


Teacher = Annotated[Annotated[ModelId, Tag("model")] | Annotated[Ensemble, Tag("ensemble")], Discriminator(_tag)]


def members_of(teacher: "str | Ensemble") -> tuple[Member, ...]:
    """Return the members; a single teacher is an ensemble of one."""
    return teacher.members if isinstance(teacher, Ensemble) else (Member(model=teacher),)
