"""Terms of an objective that the job's own networks can teach nothing by, whatever the transfer set."""

from collections.abc import Iterator

from app.contract.objectives import Term
from app.contract.objectives.names import names_of
from app.contract.spec import JobSpec
from app.contract.teachers import Ensemble


def refusals(spec: JobSpec, classes: int) -> Iterator[tuple[str, str]]:
    """Yield a JSON pointer into the spec, and a sentence, for all that does not go with so many classes or teachers."""
    averaged = isinstance(spec.teacher, Ensemble) and spec.teacher.combine == "probabilities"
    for pointer, term in spec.pointed_terms:
        if reason := term.refuses_classes(classes):
            yield pointer, reason
        if term.raw and averaged:
            why = "it reads each class's logit by itself, and a mean distribution over classes has none"
            yield "/teacher/combine", f"{term.title}: {why}; take `logits`"
    yield from _company(spec)


def _company(spec: JobSpec) -> Iterator[tuple[str, str]]:
    """Yield what does not go with the other terms of its objective, or with the stages before."""
    earlier: dict[str, list[Term]] = {}
    for pointer, terms in spec.objectives:
        for place, (name, term) in enumerate(zip(names_of(terms), terms, strict=True)):
            others = (*terms[:place], *terms[place + 1 :])
            if reason := term.refuses_beside(others) or term.refuses_before(earlier.get(name, [])):
                yield f"{pointer}/{place}", f"{term.title}: {reason}"
        for name, term in zip(names_of(terms), terms, strict=True):
            earlier.setdefault(name, []).append(term)


def refusals_of_rows(spec: JobSpec, rows: int) -> Iterator[tuple[str, str]]:
    """Yield the same of terms that cannot learn from so many training samples."""
    for pointer, term in spec.pointed_terms:
        if reason := term.refuses_rows(rows):
            yield pointer, reason
