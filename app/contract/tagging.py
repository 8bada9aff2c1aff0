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
        if isinstance(term, FeatureTerm):
            detail = f"{term.title}: it compares samples, and the teacher answers for words; take terms of outputs"
            yield pointer, detail
