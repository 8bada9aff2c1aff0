"""Trainings before the main one, each with an objective of its own."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from app.contract.base import Contract
from app.contract.objectives import ObjectiveTerm
from app.contract.schedules import extremes
from app.contract.training import Optimizer

StageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


def weighing_something(terms: tuple[ObjectiveTerm, ...]) -> tuple[ObjectiveTerm, ...]:
    """Return the terms. Raises ValueError where they add up to nothing."""
    if not terms:
        raise ValueError("the objective has no terms: nothing would be learnt")
    if all(max(extremes(term.weight)) == 0 for term in terms):
        raise ValueError("the weights sum to 0: nothing would be learnt; give a term a weight above 0")
    return terms


class Stage(Contract):
    """A training before the main one, such as the hints of FitNets (Romero et al. 2015).

    The student goes on from the stage before, and so does what losses of the same kind have learnt (regressors, a
    paraphraser). The optimiser starts afresh, and schedules run over this stage's own epochs. All else is as in
    `training`, but for early stopping, which only the main training knows.
    """

    name: StageName
    """Stands in events and in the report: the curves of `student.<name>`."""
    objective: tuple[ObjectiveTerm, ...] = Field(max_length=32)
    epochs: int = Field(ge=1, le=100_000)
    optimizer: Optimizer | None = None
    """By default that of `training`."""
    trains: Literal["all", "terms"] = "all"
    """`terms`: only what the losses themselves learn. The student stays as it is then, in evaluation mode."""

    @field_validator("objective")
    @classmethod
    def _weighs_something(cls, terms: tuple[ObjectiveTerm, ...]) -> tuple[ObjectiveTerm, ...]:
        return weighing_something(terms)

    @model_validator(mode="after")
    def _trains_something(self) -> Self:
        if self.trains == "terms" and not any(term.settled for term in self.objective):
            raise ValueError("`trains: terms` leaves the student as it is, and none of these terms learns anything")
        return self


def refusal(stages: Sequence[Stage]) -> str | None:
    """Return why these stages cannot follow one another, or None."""
    names = [stage.name for stage in stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"two stages are named {twice[0]!r}" if twice else None
