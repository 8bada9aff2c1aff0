"""What terms have in common that look at what networks hold on their way to their outputs."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.term import Need, Term
from app.contract.taps import Layers, Layout, Pair, Tap, resolved

Joins = Literal["adapted", "resized", "free"]


class FeatureTerm(Term):
    """A term over pairs of taps, averaged over the pairs by their weights."""

    outputs: ClassVar[bool] = False
    settled: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    distributions: ClassVar[bool] = False
    reads: ClassVar[frozenset[Layout]]
    """The layouts of taps that it can look at."""
    joins: ClassVar[Joins] = "free"
    """What it needs of a pair: `adapted`: an adapter brings the student's to the teacher's shape; `resized`: only the
    positions are made equal, channels may differ; `free`: any two shapes will do."""

    fewest: ClassVar[int] = 1
    """How many pairs it takes at least, in each role."""

    layers: Layers
    """Pairs of taps."""
    member: int = Field(default=0, ge=0, le=31)
    """Which teacher of an ensemble is looked into, counted from 0."""

    def roles(self) -> Mapping[str, Layers]:
        """Return all pairs of taps by what they are for: the field's name."""
        return {"layers": self.layers}

    def refuses_number(self, pairs: int) -> str | None:
        """Return why so many pairs are too few, or None."""
        return f"it takes {self.fewest} pairs of taps or more, and there is {pairs}" if pairs < self.fewest else None

    def layouts(self, role: str) -> frozenset[Layout]:
        """Return the layouts that the taps of a role may have."""
        return self.reads

    def named(self, role: str, teacher: Sequence[str], student: Sequence[str]) -> list[Pair]:
        """Return a role's pairs under the names of both networks' taps. Raises Unknown."""
        return resolved(self.roles()[role], teacher, student)

    def refuses_in(self, role: str, teacher: Tap, student: Tap) -> str | None:
        """Return why two taps cannot be brought together in a role, or None."""
        return _misread(self.layouts(role), teacher, student) or self.refuses_pair(teacher, student)

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        """Return why two taps cannot be brought together, or None."""
        if reason := _misread(self.reads, teacher, student):
            return reason
        if getattr(self, "adapter", None) == "normalized" and teacher.layout != "map":
            return f"the adapter 'normalized' is one of maps, and '{teacher.name}' is of the layout {teacher.layout}"
        if self.joins == "free" or teacher.layout == student.layout:
            return _positions(teacher, student) if self.joins != "free" else None
        if self.joins == "adapted" and teacher.layout == "vector":
            return None  # the student's is averaged over its positions
        return f"'{student.name}' ({student.layout}) cannot be brought to '{teacher.name}' ({teacher.layout})"


def _misread(reads: frozenset[Layout], teacher: Tap, student: Tap) -> str | None:
    for who, tap in (("teacher", teacher), ("student", student)):
        if tap.layout not in reads:
            wanted = " or ".join(sorted(reads))
            return f"the {who}'s '{tap.name}' is of the layout {tap.layout}, and this term reads {wanted}"
    return None


def _positions(teacher: Tap, student: Tap) -> str | None:
    """Return why positions cannot be made equal, or None; maps are resized."""
    if teacher.layout in {"map", "vector"}:
        return None
    lengths = teacher.shape[-2], student.shape[-2]
    if lengths[0] == lengths[1]:
        return None
    return (
        f"'{teacher.name}' has {lengths[0]} tokens and '{student.name}' {lengths[1]}: they cannot be paired one by one"
    )
