"""What terms have in common that bring the student's features to the shape of the teacher's."""

from typing import ClassVar

from app.contract.objectives import adapters
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.taps import Tap


class AdaptedTerm(FeatureTerm):
    """A term that compares the teacher's features with the student's after an adapter, number by number."""

    joins: ClassVar[Joins] = "adapted"

    adapter: AdapterKind = "auto"

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        return super().refuses_pair(teacher, student) or adapters.refuses(self.adapter, teacher, student)
