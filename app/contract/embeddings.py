"""Jobs whose teacher answers with embeddings: vectors that mean something by their directions, and name no classes."""

from collections.abc import Collection, Iterator, Sequence

from app.contract.architectures import Family
from app.contract.objectives import FeatureTerm, Term
from app.contract.spec import JobSpec
from app.contract.teachers import Ensemble


def taught_by(teachers: Sequence[Family]) -> bool:
    """Return whether what is learnt are embeddings."""
    return any(teacher.gives_embeddings() for teacher in teachers)


def width_taught(teachers: Sequence[Family], classes: int) -> int:
    """Return how many numbers the teachers answer with: of embeddings their own, else the student's `classes`."""
    return teachers[0].classes if taught_by(teachers) else classes


def refusals(spec: JobSpec, teachers: Sequence[Family], student: Family) -> Iterator[tuple[str, str]]:
    """Yield a JSON pointer into the spec, and a sentence, for all in it that does not go with what the teachers give.

    The student may be of any family; terms that compare outputs number by number need as many of them (`classes`) as
    the teacher's embedding has.
    """
    if not taught_by(teachers):
        if student.gives_embeddings():
            yield "/student", "the student gives embeddings, and the teacher tells classes apart"
        return
    yield from _of_teachers(spec, teachers)
    for pointer, term in spec.pointed_terms:
        if reason := _refusal(term, {teacher.classes for teacher in teachers}, student.classes):
            yield pointer, f"{term.title}: {reason}"
    stopping = spec.training.early_stopping
    if stopping and stopping.monitor != "loss":
        yield "/training/early_stopping/monitor", "embeddings name no classes: only the loss can be monitored"


def _of_teachers(spec: JobSpec, teachers: Sequence[Family]) -> Iterator[tuple[str, str]]:
    if not all(teacher.gives_embeddings() for teacher in teachers):
        yield "/teacher", "some of the teachers give embeddings, and some tell classes apart"
    elif len(widths := {teacher.classes for teacher in teachers}) > 1:
        yield "/teacher", f"embeddings of {_listed(widths)} numbers have no mean: the teachers' must be equally many"
    if isinstance(spec.teacher, Ensemble) and spec.teacher.combine == "probabilities":
        yield "/teacher/combine", "embeddings are no probabilities: `logits` is their weighted mean"


def _refusal(term: Term, taught: Collection[int], width: int) -> str | None:
    """Return why embeddings of so many numbers teach nothing by a term to those of another width, or None."""
    if term.distributions:
        return (
            "it reads outputs as distributions over classes, and the teacher gives embeddings; take logit_mse or "
            "embedding_cosine"
        )
    if width in taught or not _by_number(term):
        return None
    return (
        f"the teacher's embeddings have {_listed(taught)} numbers and the student's {width:,}; give the student as "
        "many (classes), or take margin_mse, similarity_distribution, or hidden_cosine or hint with layers: logits, "
        "which adapt them"
    )


def _by_number(term: Term) -> bool:
    """Return whether a term holds outputs against the teacher's, number by number."""
    return "teacher" in term.needs and not isinstance(term, FeatureTerm)


def _listed(widths: Collection[int]) -> str:
    return " and ".join(f"{width:,}" for width in sorted(widths))
