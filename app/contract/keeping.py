"""How much of what a teacher says is kept: the logits of all classes, or the most probable ones and a tail."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from app.contract.base import Contract
from app.contract.objectives import Term

WIDE = 4096
"""More classes than this are kept as top-k, unless the spec says otherwise."""


class Keeping(Contract):
    """What is kept of the training part's soft targets; evaluated parts keep everything, so reports stay exact.

    `top_k` holds the k most probable classes, their log-probabilities and what the others weigh together at any
    temperature: 6 k + 12 bytes a sample instead of 2 or 4 a class. Terms see k + 1 classes, the last for all others.
    """

    keep: Literal["auto", "all", "top_k"] = "auto"
    """`auto`: `top_k` above 4,096 classes, where every term that needs the teacher can work with it; else `all`."""
    k: int = Field(default=64, ge=1, le=4096)
    """The most probable classes that `top_k` keeps. With as many classes or fewer, everything is kept."""

    feature_bytes: int = Field(default=2 * 2**30, ge=0)
    """Disk that features of the training part, in all views that come again, may take in a job (float16). Where they
    would take more, or are of another shape for each sample, the teacher computes them in every step."""

    def refuses(self, terms: Sequence[Term]) -> str | None:
        """Return why these terms cannot learn from what is kept, or None."""
        unable = sorted({term.title for term in terms if _needs_all(term)})
        if self.keep != "top_k" or not unable:
            return None
        return f"soft_targets.keep: {', '.join(unable)} cannot work with top_k: it needs the logits of all classes"

    def classes_of(self, classes: int, terms: Sequence[Term]) -> int | None:
        """Return how many of the classes are kept; None for all of them."""
        if self.keep == "all" or self.k >= classes or any(map(_needs_all, terms)):
            return None
        return self.k if self.keep == "top_k" or classes > WIDE else None


def _needs_all(term: Term) -> bool:
    return term.outputs and "teacher" in term.needs and not term.coarse
