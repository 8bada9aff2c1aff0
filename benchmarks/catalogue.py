"""The catalogue's methods that work between two networks of images: found by asking the contract, listed nowhere."""

from collections.abc import Sequence
from typing import Any

from app.contract.architectures import Family
from app.contract.joining import known, refusals
from app.contract.objectives import TERMS, Term

_FOR_FEW_SAMPLES: dict[str, dict[str, Any]] = {"crd": {"negatives": 256}}
"""Where a default is made for large sets: CRD's 16,384 negatives would hold each of a thousand samples 16 times."""


def fitting(teacher: Family, student: Family, shape: tuple[int, ...]) -> dict[str, Term]:
    """Return each method by its kind, at its defaults, that a job of these networks and labelled samples may have.

    `shape`: of a sample. A method that looks at unlabelled samples alone by default looks at all of them.
    """
    taps = [known(network.short_taps(shape) or []) for network in (teacher, student)]
    terms = [_term(method) for method in TERMS]
    unfit = {number for number, _ in refusals(terms, taps[:1], taps[1])}
    return {
        kind_of(term): term
        for number, term in enumerate(terms)
        if number not in unfit and not term.refuses_classes(student.classes)
    }


def _term(method: type[Term]) -> Term:
    settings = _FOR_FEW_SAMPLES.get(method.model_fields["kind"].default, {})
    term = method(**settings)
    return term if term.sees(1, 0) else method(on="all", **settings)


def kind_of(term: Term) -> str:
    """Return a method's name."""
    kind: str = type(term).model_fields["kind"].default
    return kind


def as_spec(term: Term) -> dict[str, Any]:
    """Return a term as a user writes it: its kind, and what is not its default."""
    return {"kind": kind_of(term), **term.model_dump(mode="json", exclude_defaults=True)}


def lessons(term: Term, beside: Sequence[Term], first_epochs: int) -> dict[str, Any]:
    """Return the stages and the objective of a spec that teaches by a term, and by others where those may be beside it.

    `first_epochs`: of the stage that some methods need before.
    """
    company = [] if term.refuses_beside(beside) else [other for other in beside if kind_of(other) != kind_of(term)]
    first = term.learnt_first()
    stage = first and {"name": "first", "objective": [as_spec(first)], "epochs": first_epochs, "trains": "terms"}
    return {"stages": [stage] if stage else [], "objective": [*map(as_spec, [term, *company])]}
