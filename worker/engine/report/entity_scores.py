"""Entities in tagged words, found and missed: Tjong Kim Sang & De Meulder 2003, counted as by seqeval. N = words."""

import re
from collections.abc import Sequence

from torch import Tensor

from app.contract.report import EntityScores

_TAG = re.compile(r"(?P<place>[BI])-(?P<kind>.+)|O")
Entity = tuple[int, int, str]
"""First word, the word after the last one, kind."""


def names_entities(names: Sequence[str]) -> bool:
    """Return whether classes of these names mark entities: O, and B- and I- of each kind."""
    return "O" in names and len(names) > 1 and all(_TAG.fullmatch(name) for name in names)


def entity_scores(guessed_N: Tensor, true_N: Tensor, owners_N: Tensor, names: Sequence[str]) -> EntityScores:
    """Return the scores of guessed classes; `owners_N` tells which sentence a word is of."""
    owners = owners_N.tolist()
    guessed, true = (entities([names[number] for number in tags_N.tolist()], owners) for tags_N in (guessed_N, true_N))
    right = len(guessed & true)
    precision, recall = right / max(len(guessed), 1), right / max(len(true), 1)
    return EntityScores(precision=precision, recall=recall, f1=2 * right / max(len(guessed) + len(true), 1))


def entities(tags: Sequence[str], owners: Sequence[int]) -> set[Entity]:
    """Return the entities that tags mark; none reaches over the end of its sentence."""
    found: set[Entity] = set()
    first, kind = 0, ""
    for place, (tag, owner) in enumerate(zip([*tags, "O"], [*owners, -1], strict=True)):
        told = _TAG.fullmatch(tag)
        assert told
        goes_on = told["place"] == "I" and told["kind"] == kind and owners[place - 1] == owner
        if kind and not goes_on:
            found.add((first, place, kind))
        if not goes_on:
            first, kind = place, told["kind"] or ""
    return found
