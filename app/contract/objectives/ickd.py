"""Inter-channel correlation."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.objectives.adapted_term import AdaptedTerm
from app.contract.objectives.adapters import AdapterKind
from app.contract.objectives.term import Branch
from app.contract.schedules import Weight
from app.contract.taps import Layers, Layout, Pair, Tap


class Ickd(AdaptedTerm):
    """Squared differences between how channels go together: inner products of each two of a sample's channels.

    As in the published code each channel's products are divided by their length, so that scales do not matter, and
    the sum over a sample's pairs is divided by K; the paper has bare products over K². With a `grid` this is the
    variant for dense prediction (ICKD-S): each cell by itself, averaged over the cells.
    """

    title: ClassVar[str] = "Inter-channel correlation"
    formula: ClassVar[str] = (
        "mean_B,cells 1/K · Σ_ij (n(F_s F_sᵀ)_ij - n(F_t F_tᵀ)_ij)², F (K, HW), n: rows of length 1"
    )
    paper: ClassVar[str] = "Liu et al. 2021 (ICKD), arXiv:2202.03680"
    branch: ClassVar[Branch] = "channel"
    reads: ClassVar[frozenset[Layout]] = frozenset({"map"})

    kind: Literal["ickd"] = "ickd"
    weight: Weight = 2.5
    """What the term's value is multiplied with; the authors take 2.5 on CIFAR-100."""
    layers: Layers = (Pair(teacher="layer:-1", student="layer:-1"),)
    grid: int = Field(default=1, ge=1, le=64)
    """Into so many rows and columns of cells each map is cut."""
    adapter: AdapterKind = "auto"
    """Brings the student's channels to the number of the teacher's; the published code always has a linear map with
    batch norm. Rows and columns need not be as many."""

    def refuses_pair(self, teacher: Tap, student: Tap) -> str | None:
        """Return why two taps cannot be compared, or None."""
        if reason := super().refuses_pair(teacher, student):
            return reason
        for who, tap in (("teacher", teacher), ("student", student)):
            rows, columns = tap.shape[1:]
            if any(size is None or size % self.grid for size in (rows, columns)):
                return (
                    f"the {who}'s '{tap.name}' has {rows} x {columns} positions, which a grid of {self.grid} cannot cut"
                )
        return None
