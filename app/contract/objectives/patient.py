"""Patient knowledge distillation."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from app.contract.objectives import adapters
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.feature_term import FeatureTerm
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair, Tap, Unknown, all_alike, of_kind


class Patient(FeatureTerm):
    """Mean squared error between the states of the first token ([CLS]) in intermediate layers, each over its length.

    Of the paper's two strategies `skip` spreads the student's layers over the teacher's, and `last` takes the teacher's
    last ones; the last layer of either network, which the outputs are made of, is left out. The paper's networks are
    equally wide; where they are not, an adapter makes the student's states as wide as the teacher's.
    """

    title: ClassVar[str] = "Patient distillation (PKD)"
    formula: ClassVar[str] = "u = h[CLS] / |h[CLS]|; code: mean_B,channels (u_s - u_t)²; paper: mean_B |u_s - u_t|²"
    paper: ClassVar[str] = "Sun et al. 2019 (PKD), arXiv:1908.09355"
    branch: ClassVar[Branch] = "attention"
    reads: ClassVar[frozenset[Layout]] = frozenset({"tokens"})

    kind: Literal["patient"] = "patient"
    weight: Weight = 100.0
    """What the term's value is multiplied with; the authors try 10, 100, 500 and 1000."""
    layers: Layers = (Pair(teacher="hidden:*", student="hidden:*"),)
    """`hidden:*` means what `strategy` says; other pairs are taken as they are."""
    strategy: Literal["skip", "last"] = "skip"
    """Which of the teacher's layers teach the student's: evenly spread ones, or the last ones."""
    token: Literal["first", "mean"] = "first"
    """The state of the first token, or the mean over all that count: for networks whose first token says nothing, such
    as those that read from left to right."""
    formulation: Literal["code", "paper"] = "code"
    """The authors' code takes the mean over channels, eq. 7 of the paper the sum."""
    adapter: AdapterKind = "auto"
    """Of networks of different widths."""

    def named(self, role: str, teacher: Sequence[str], student: Sequence[str]) -> list[Pair]:
        if len(self.layers) > 1 or not all_alike(self.layers[0].teacher) or self.layers[0].teacher != "hidden:*":
            return super().named(role, teacher, student)
        taught, learning = of_kind("hidden", teacher), of_kind("hidden", student)
        depth, layers = len(taught) - 1, len(learning) - 1
        if layers < 2 or depth < layers:
            raise Unknown(
                f"the teacher has {max(depth, 0)} layers with hidden states and the student {max(layers, 0)}; this "
                "takes two of the student's at least, and as many of the teacher's: name pairs of them as layers"
            )
        skipped = [round(number * depth / layers) for number in range(1, layers)]
        last = [depth - layers + number for number in range(1, layers)]
        chosen = skipped if self.strategy == "skip" else last
        return [Pair(teacher=taught[place], student=learning[number]) for number, place in enumerate(chosen, start=1)]

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        reason = super().refuses_pair(teacher, student)
        return reason or adapters.refuses(self.adapter, teacher.pooled(), student.pooled())
