"""Terms of features held against the taps of teacher and student: which pairs they are, and whether those fit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.contract.objectives import FeatureTerm
from app.contract.objectives.term import Term
from app.contract.taps import Tap, Unknown, is_short


class Misfit(ValueError):
    """A pair of taps that cannot be brought together."""


@dataclass(frozen=True)
class Taps:
    """What is known of a network's taps."""

    by_name: Mapping[str, Tap]
    whole: bool = True
    """Whether these are all, modules' paths too."""


def known(taps: Sequence[Tap], *, whole: bool = True) -> Taps:
    return Taps({tap.name: tap for tap in taps}, whole)


def joined(term: FeatureTerm, teacher: Taps, student: Taps) -> dict[str, list[tuple[Tap, Tap, float]]]:
    """Return, for each role, the teacher's and the student's tap of every pair, and its share of the term.

    Raises Unknown where there is no such tap, Misfit where two do not fit.
    """
    found = {}
    for role in term.roles():
        named = term.named(role, list(teacher.by_name), list(student.by_name))
        if reason := term.refuses_number(len(named)):
            raise Misfit(reason)
        whole = sum(pair.weight for pair in named)
        found[role] = [
            (teacher.by_name[pair.teacher], student.by_name[pair.student], pair.weight / whole) for pair in named
        ]
        for taught, learning, _ in found[role]:
            if reason := term.refuses_in(role, taught, learning):
                raise Misfit(reason)
    return found


def refusals(terms: Sequence[Term], teachers: Sequence[Taps | None], student: Taps | None) -> Iterator[tuple[int, str]]:
    """Yield a term's number and why it cannot look into these networks; None: nothing is known of one yet."""
    for number, term in enumerate(terms):
        if not isinstance(term, FeatureTerm):
            continue
        if term.member >= len(teachers):
            yield number, f"there is no teacher {term.member}, counted from 0 (member)"
        elif reason := _refusal(term, teachers[term.member], student):
            yield number, reason


def _refusal(term: FeatureTerm, teacher: Taps | None, student: Taps | None) -> str | None:
    if teacher is None or student is None or not all(_can_tell(term, teacher, student)):
        return None  # the worker tells, before anything is trained
    try:
        joined(term, teacher, student)
    except (Unknown, Misfit) as error:
        return str(error)
    return None


def _can_tell(term: FeatureTerm, teacher: Taps, student: Taps) -> Iterator[bool]:
    for pairs in term.roles().values():
        for pair in pairs:
            yield teacher.whole or is_short(pair.teacher)
            yield student.whole or is_short(pair.student)
