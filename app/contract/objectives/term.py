"""What every term of an objective has in common."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from app.contract.base import Contract
from app.contract.schedules import Weight

Part = Literal["all", "labelled", "unlabelled"]
Need = Literal["teacher", "labels"]
Branch = Literal["target", "feature", "channel", "relation", "attention", "dense", "embedding", "language"]
"""What of the teacher a method carries over: its outputs, or what it holds on its way to them."""


class Term(Contract):
    """What every term has: a weight, the samples that it looks at, and facts for the catalogue."""

    title: ClassVar[str]
    formula: ClassVar[str]
    """t = teacher logits, s = student logits, y = label, T = temperature, B = batch, C = classes."""
    paper: ClassVar[str]
    needs: ClassVar[frozenset[Need]]
    """What the term cannot do without. Unlabelled samples take no part in a term that needs labels."""

    branch: ClassVar[Branch] = "target"
    outputs: ClassVar[bool] = True
    """Whether it looks at what the networks answer with, and at nothing else: then it can be told of validation too."""
    coarse: ClassVar[bool] = False
    """Whether it can work with the teacher's most probable classes and one for all others (`soft_targets.keep`)."""
    settled: ClassVar[bool] = False
    """Whether its loss is made for one job, knowing its networks and its transfer set."""
    distributions: ClassVar[bool] = True
    """Whether it reads outputs as distributions over classes, which embeddings are not."""
    raw: ClassVar[bool] = False
    """Whether it reads each logit by itself, which a mean of several teachers' probabilities does not have."""
    relational: ClassVar[bool] = False
    """Whether its value is about samples of a batch together (pairs of them, a class across all of them), and no mean
    over samples. With `accumulation`, or several `devices`, it looks within each micro-batch, which counts by its share
    of the samples: the value is then not that of the whole batch. It cannot be kept to a part of the samples (`on`)."""

    weight: Weight = 1.0
    """What the term's value is multiplied with; a number or a schedule."""
    on: Part = "all"
    """The samples that the term looks at, and over which it is averaged: those with a label, those without, or all that
    it can (a term that cannot do without labels: those with one)."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if "labels" in self.needs and self.on == "unlabelled":
            raise ValueError("this term needs labels, so it cannot look at unlabelled samples")
        if self.relational and self.on != "all":
            raise ValueError("this term relates samples of a batch to one another, so it looks at all of them")
        return self

    @property
    def part(self) -> Part:
        """The samples that it learns from: `on`, less those without a label where it needs one."""
        return "labelled" if "labels" in self.needs else self.on

    def sees(self, labelled: int, unlabelled: int) -> int:
        """Return how many of so many samples it learns from."""
        if "labels" in self.needs and not labelled:
            return 0
        return {"all": labelled + unlabelled, "labelled": labelled, "unlabelled": unlabelled}[self.part]

    def networks(self) -> int:
        """Return how many networks like the student its loss trains beside it."""
        return 0

    def kept_bytes(self, rows: int) -> int:
        """Return what its loss keeps in memory of so many training samples."""
        return 0

    def refuses_rows(self, rows: int) -> str | None:
        """Return why it cannot learn from so many training samples, or None."""
        return None

    def refuses_beside(self, others: Sequence["Term"]) -> str | None:
        """Return why it cannot stand in one objective with these, or None."""
        return None

    def learnt_first(self) -> "Term | None":
        """Return the term of a stage that must come before (with `trains: terms`), or None."""
        return None

    def refuses_before(self, earlier: Sequence["Term"]) -> str | None:
        """Return why it cannot go on from the terms of its name in the stages before, or None."""
        return None

    def refuses_classes(self, classes: int) -> str | None:
        """Return why it has nothing to teach networks that tell so many classes apart, or None."""
        return None
