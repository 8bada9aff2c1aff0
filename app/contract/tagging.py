"""Jobs whose networks answer for each word of a list, and not for samples as wholes."""

from collections.abc import Iterator, Sequence

from app.contract.architectures import Family
from app.contract.objectives import FeatureTerm
from app.contract.spec import JobSpec


def refusals(spec: JobSpec, teachers: Sequence[Family]) -> Iterator[tuple[str, str]]:
    """Yield a JSON pointer into the spec, and a sentence, for all in it that does not go with words."""
    if not any(teacher.tags_words() for teacher in teachers):
        return
    for pointer, term in spec.pointed_terms:
        if isinstance(term, FeatureTerm) and (reason := _refusal(term)):
            yield pointer, f"{term.title}: {reason}"


def _refusal(term: FeatureTerm) -> str | None:
    """Return why a term of features, which looks at lists of words as wholes, cannot be used; None: it can."""
    if looks_at_logits(term):
        return "the logits are those of words, and it compares samples; take a term of outputs for them"
    if term.on != "all":
        return f"each word has a label of its own or none, so it looks at all lists of words, not at the {term.on} ones"
    return None


def looks_at_logits(term: FeatureTerm) -> bool:
    """Return whether a term of features looks at what networks answer with."""
    return any("logits" in {pair.teacher, pair.student} for pairs in term.roles().values() for pair in pairs)
