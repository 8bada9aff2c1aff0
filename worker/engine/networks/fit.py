"""A state dict held against its architecture: what is missing, unexpected, or of another shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.contract.inspection import Misfit

_SHOWN = 20
_SHOWN_CHARACTERS = 200

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """The verdict; empty lists where everything fits."""

    missing: list[str]
    """The family's names."""
    unexpected: list[str]
    """The user's names."""
    misshaped: list[Misfit]
    """Under the user's names."""

    def problems(self) -> list[str]:
        """Return a sentence for each kind of misfit."""
        sentences = []
        if self.missing:
            sentences.append(f"The architecture needs tensors that are missing: {listed(self.missing)}.")
        if self.unexpected:
            sentences.append(f"The file holds tensors that the architecture does not know: {listed(self.unexpected)}.")
        if self.misshaped:
            shapes = [f"{misfit.name} {misfit.found} instead of {misfit.expected}" for misfit in self.misshaped]
            sentences.append(f"Tensors have other shapes than the architecture: {listed(shapes)}.")
        return sentences


def compare(found: Mapping[str, Shape], renamed: Mapping[str, str], expected: Mapping[str, Shape]) -> Fit:
    """Hold the user's tensors (name -> shape), renamed to the family's names, against the expected ones."""
    present = set(renamed.values())
    return Fit(
        missing=[name for name in expected if name not in present],
        unexpected=[name for name in found if renamed[name] not in expected],
        misshaped=[
            Misfit(name=name, expected=expected[renamed[name]], found=shape)
            for name, shape in found.items()
            if renamed[name] in expected and expected[renamed[name]] != shape
        ],
    )


def listed(names: Iterable[str]) -> str:
    """Return the names with commas, cut after the first twenty, and long ones after two hundred characters."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = [name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…" for name in names[:_SHOWN]]
    return ", ".join(shown) + more
