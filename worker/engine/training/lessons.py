"""What a network is trained through: the stages of the spec, and its main objective."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.contract.events import Run, name_of
from app.contract.objectives import ObjectiveTerm
from app.contract.spec import JobSpec
from app.contract.training import Optimizer
from worker.engine.training.plan import Plan
from worker.engine.training.seeds import seed_from


@dataclass(frozen=True)
class Lesson:
    """One training, from a fresh optimiser to the last epoch of its plan."""

    run: Run
    terms: tuple[ObjectiveTerm, ...]
    plan: Plan
    optimizer: Optimizer
    stage: str | None = None
    """None: the main one."""
    place: int = 0
    """How many lessons lie before it."""
    frozen: bool = False
    """Whether the network stays as it is, and only the losses learn."""

    @property
    def name(self) -> str:
        return name_of(self.run, self.stage)

    def seed(self, seed: int) -> int:
        """Return what its random numbers start from in a job of this seed; the first lesson has the job's own."""
        return seed_from(f"stage {seed} {self.place}") if self.place else seed


def lessons_of(spec: JobSpec, run: Run, terms: Sequence[tuple[ObjectiveTerm, ...]], plan: Plan) -> Iterator[Lesson]:
    """Yield a student's lessons, the main one last. `terms`: those of each; `plan`: that of the main one."""
    begun, usual = 0, spec.training.optimizer
    for place, stage in enumerate(spec.stages):
        own = replace(plan, epochs=stage.epochs, first_epoch=begun)
        begun += stage.epochs
        optimizer = stage.optimizer or usual
        yield Lesson(run, terms[place], own, optimizer, stage.name, place, frozen=stage.trains == "terms")
    yield Lesson(run, terms[-1], replace(plan, first_epoch=begun), usual, place=len(spec.stages))


class Progress:
    """A job's progress, shared out among its lessons by their steps."""

    def __init__(self, steps: int) -> None:
        self._steps, self._given = steps, 0

    def share(self, steps: int) -> tuple[float, float]:
        """Return where the part of the next lesson begins and ends, 0 to 1."""
        begin = self._given
        self._given += steps
        return begin / self._steps, self._given / self._steps
