"""What the losses of an objective go by, in events, in checkpoints and from stage to stage."""

from collections.abc import Sequence

from app.contract.objectives.term import Term


def names_of(terms: Sequence[Term]) -> list[str]:
    """Return each term's name: its kind; one that occurs twice is numbered from the second on."""
    kinds: list[str] = [term.kind for term in terms]  # type: ignore[attr-defined]  # each member of the union has one
    before = [kinds[:place].count(kind) for place, kind in enumerate(kinds)]
    return [f"{kind}_{same + 1}" if same else kind for kind, same in zip(kinds, before, strict=True)]
