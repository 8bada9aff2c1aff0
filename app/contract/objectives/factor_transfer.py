"""Factor transfer."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.feature_term import FeatureTerm, Joins
from app.contract.objectives.term import Branch, Term
from app.contract.taps import Layers, Layout, Pair


class FactorTransfer(FeatureTerm):
    """The student's translator learns the factors that a paraphraser makes of the teacher's maps.

    The paraphraser learns to reconstruct the teacher's maps first, in a stage of its own (`learns: paraphraser`, with
    `trains: terms`), and stays as it is then. The paper gives the translator's term the weight 500, beside hard
    targets.
    """

    title: ClassVar[str] = "Factor transfer"
    formula: ClassVar[str] = (
        "paraphraser: mean_B mean (decode(encode(h_t)) - h_t)²; "
        "translator: mean_B mean |F_t/|F_t| - F_s/|F_s||^p, F_t = encode(h_t), F_s = translate(h_s)"
    )
    paper: ClassVar[str] = "Kim et al. 2018, arXiv:1802.04977"
    branch: ClassVar[Branch] = "feature"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})
    joins: ClassVar[Joins] = "resized"

    kind: Literal["factor_transfer"] = "factor_transfer"
    layers: Layers = (Pair(teacher="stage:-1", student="stage:-1"),)
    learns: Literal["translator", "paraphraser"] = "translator"
    """Which of the two is trained."""
    rate: float = Field(default=0.5, gt=0, le=1)
    """k: channels of the factors, as a share of the teacher's."""
    power: Literal[1, 2] = 1
    """p."""

    def learnt_first(self) -> Term | None:
        return self.model_copy(update={"learns": "paraphraser"}) if self.learns == "translator" else None

    def refuses_before(self, earlier: Sequence[Term]) -> str | None:
        if self.learns == "paraphraser":
            return None
        fitting = (self.layers, self.member, self.rate)
        for term in earlier:
            if isinstance(term, FactorTransfer) and term.learns == "paraphraser":
                return None if fitting == (term.layers, term.member, term.rate) else (
                    "its paraphraser was learnt with other layers, member or rate"
                )  # fmt: skip
        return (
            "its paraphraser is learnt in a stage before; add to `stages` "
            '{"name": "paraphraser", "objective": [{"kind": "factor_transfer", "learns": "paraphraser"}], '
            '"epochs": 30, "trains": "terms"}'
        )
