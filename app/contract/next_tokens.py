"""Jobs of language models: networks that answer for each token of a text with what the next one is."""

from collections.abc import Iterator, Sequence

from app.contract.architectures import Family
from app.contract.objectives import FeatureTerm
from app.contract.preprocessing import Preprocessing
from app.contract.spec import JobSpec
from app.contract.tagging import looks_at_logits

Reader = tuple[Family, Preprocessing | None]
"""A network, and how it reads texts."""


def taught_by(teachers: Sequence[Family]) -> bool:
    """Return whether what is learnt are next tokens."""
    return any(teacher.predicts_tokens() for teacher in teachers)


def refusals(spec: JobSpec, teachers: Sequence[Reader], student: Reader) -> Iterator[tuple[str, str]]:
    """Yield a JSON pointer into the spec, and a sentence, for all in it that does not go with next tokens."""
    if taught_by([family for family, _ in teachers]):
        yield from _of_networks(teachers, student)
        yield from _of_lessons(spec)
    elif student[0].predicts_tokens():
        yield "/student", "the student predicts the tokens of texts (causal_lm), and the teacher does not"


def _of_networks(teachers: Sequence[Reader], student: Reader) -> Iterator[tuple[str, str]]:
    # What one says of a token is held against what another says of it, so a text must be the same tokens for all.
    if not all(family.predicts_tokens() for family, _ in teachers):
        yield "/teacher", "some of the teachers predict the tokens of texts (causal_lm), and some do not"
    elif any(reads != teachers[0][1] for _, reads in teachers):
        yield "/teacher", "the teachers read texts as different tokens: their tokenizers must be the same"
    if not student[0].predicts_tokens():
        yield "/student", "the teacher predicts the tokens of texts, and the student does not (task causal_lm)"
    elif student[1] != teachers[0][1]:
        yield (
            "/student/preprocessing",
            "the student reads texts as other tokens than its teacher, or cuts them elsewhere: leave preprocessing out",
        )


def _of_lessons(spec: JobSpec) -> Iterator[tuple[str, str]]:
    for place, step in enumerate(spec.augmentation):
        yield f"/augmentation/{place}", f"{step.title} changes the tokens that are to be predicted"
    for pointer, term in spec.pointed_terms:
        if isinstance(term, FeatureTerm) and looks_at_logits(term):
            yield (
                pointer,
                f"{term.title}: the logits are those of tokens, and it compares texts; take a term of outputs",
            )
