"""The distillation methods: what a user may set. `worker/engine/objectives/` holds one file for each.

An objective is a list of terms; the loss is the sum of each term's value times its weight.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.base import Contract
from app.contract.schedules import Linear, Share, Temperature, Weight

Part = Literal["all", "labelled", "unlabelled"]


class Term(Contract):
    """What every term has: a weight, the samples that it looks at, and facts for the catalogue."""

    title: ClassVar[str]
    formula: ClassVar[str]
    """t = teacher logits, s = student logits, y = label, T = temperature, B = batch, C = classes."""
    paper: ClassVar[str]
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]]
    """What the term cannot do without. Unlabelled samples take no part in a term that needs labels."""

    coarse: ClassVar[bool] = False
    """Whether it can work with the teacher's most probable classes and one for all others (`soft_targets.keep`)."""
    distributions: ClassVar[bool] = True
    """Whether it reads outputs as distributions over classes, which embeddings are not."""

    weight: Weight = 1.0
    """What the term's value is multiplied with; a number or a schedule."""
    on: Part = "all"
    """The samples that the term looks at, and over which it is averaged: those with a label, those without, or all that
    it can (a term of labels alone: those with one)."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if "labels" in self.needs and self.on == "unlabelled":
            raise ValueError("this term needs labels, so it cannot look at unlabelled samples")
        return self

    @property
    def part(self) -> Part:
        """The samples that it learns from: `on`, less those that a term of labels alone has no use for."""
        return "labelled" if self.needs == {"labels"} else self.on

    def sees(self, labelled: int, unlabelled: int) -> int:
        """Return how many of so many samples it learns from."""
        if "labels" in self.needs and not labelled:
            return 0
        return {"all": labelled + unlabelled, "labelled": labelled, "unlabelled": unlabelled}[self.part]


class SoftTarget(Term):
    """Kullback-Leibler divergence from the teacher's softened distribution to the student's.

    Averaged over the batch, never over classes. The factor T² keeps the gradient's size when T changes.
    """

    title: ClassVar[str] = "Soft targets"
    formula: ClassVar[str] = "T² · mean_B KL(softmax(t / T) ‖ softmax(s / T))"
    paper: ClassVar[str] = "Hinton, Vinyals, Dean 2015, arXiv:1503.02531"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"teacher"})
    coarse: ClassVar[bool] = True

    kind: Literal["soft_target"] = "soft_target"
    temperature: Temperature = 4.0
    """Softens both distributions; a number or a schedule above 0."""


class HardTarget(Term):
    """Cross-entropy to the labels, averaged over the labelled samples of the batch."""

    title: ClassVar[str] = "Hard targets"
    formula: ClassVar[str] = "mean_labelled CE(smooth(y, ε), softmax(s))"
    paper: ClassVar[str] = "Label smoothing: Szegedy et al. 2016, arXiv:1512.00567"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"labels"})

    kind: Literal["hard_target"] = "hard_target"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share ε of the target spread evenly over all classes."""


class LogitMse(Term):
    """Mean squared error between the raw logits, averaged over batch and classes."""

    title: ClassVar[str] = "Logit regression"
    formula: ClassVar[str] = "mean_B,C (s - t)²"
    paper: ClassVar[str] = "Ba & Caruana 2014, arXiv:1312.6184; Tang et al. 2019, arXiv:1903.12136"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"teacher"})

    distributions: ClassVar[bool] = False

    kind: Literal["logit_mse"] = "logit_mse"


class EmbeddingCosine(Term):
    """One less the cosine between student's and teacher's outputs, averaged over the batch: directions, not lengths."""

    title: ClassVar[str] = "Cosine of embeddings"
    formula: ClassVar[str] = "mean_B (1 - s·t / (|s| |t|))"
    paper: ClassVar[str] = "Sanh et al. 2019 (DistilBERT), arXiv:1910.01108"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"teacher"})
    distributions: ClassVar[bool] = False

    kind: Literal["embedding_cosine"] = "embedding_cosine"


class AnnealedTarget(Term):
    """Cross-entropy to a mixture of label and teacher: it mixes targets, not losses.

    An unlabelled sample has the teacher's distribution as its whole target.
    """

    title: ClassVar[str] = "Teacher annealing"
    formula: ClassVar[str] = "mean_B CE(λ · onehot(y) + (1 - λ) · softmax(t), softmax(s))"
    paper: ClassVar[str] = "Clark et al. 2019 (BAM), arXiv:1907.04829"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"teacher", "labels"})

    kind: Literal["annealed_target"] = "annealed_target"
    label_share: Share = Linear(start=0.0, end=1.0)
    """λ: the label's share of the target; the paper's rises from 0 to 1 over the training."""


class PseudoLabel(Term):
    """Cross-entropy to the teacher's class as if it were the label; by default on the samples that have none.

    Samples of which the teacher is less sure than `threshold` take no part; they still count in the mean (as in
    FixMatch), so a batch with few sure ones weighs little.
    """

    title: ClassVar[str] = "Pseudo labels"
    formula: ClassVar[str] = "mean_unlabelled 1(max softmax(t) ≥ threshold) · CE(argmax t, softmax(s))"
    paper: ClassVar[str] = "Lee 2013, ICML workshop; threshold: Sohn et al. 2020 (FixMatch), arXiv:2001.07685"
    needs: ClassVar[frozenset[Literal["teacher", "labels"]]] = frozenset({"teacher"})

    kind: Literal["pseudo_label"] = "pseudo_label"
    on: Part = "unlabelled"
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """The probability that the teacher must give its class."""


ObjectiveTerm = Annotated[
    SoftTarget | HardTarget | LogitMse | EmbeddingCosine | AnnealedTarget | PseudoLabel, Field(discriminator="kind")
]
TERMS: tuple[type[Term], ...] = (SoftTarget, HardTarget, LogitMse, EmbeddingCosine, AnnealedTarget, PseudoLabel)
