"""Universal logit distillation."""

from typing import ClassVar, Literal

from app.contract.objectives.term import Branch, Need, Term
from app.contract.schedules import Temperature


class Uld(Term):
    """How far the sorted probabilities are apart, whichever classes they belong to (Wasserstein-1).

    It reads how sure the teacher is and how its doubt is spread, not of what, so it wants hard targets beside it. It is
    meant for networks of different vocabularies, the smaller one filled up with probabilities of 0; where both have the
    same classes, as a job still asks for, soft targets teach more. At each row (sample or token), averaged over the
    batch of rows, where the authors' code takes the mean of each text's mean; no factor T², as in their code.
    """

    title: ClassVar[str] = "Universal logit distillation"
    formula: ClassVar[str] = "mean_B Σ_i |sort(p)_i - sort(q)_i|, p = softmax(t / T), q = softmax(s / T)"
    paper: ClassVar[str] = "Boizard et al. 2024 (ULD), arXiv:2402.12030"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    branch: ClassVar[Branch] = "language"

    kind: Literal["uld"] = "uld"
    temperature: Temperature = 1.0
    """Softens both distributions; a number or a schedule above 0."""
