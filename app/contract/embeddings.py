"""Jobs whose teacher answers with embeddings: vectors that mean something by their directions, and name no classes."""

from collections.abc import Iterator, Sequence

from app.contract.architectures import Family
from app.contract.spec import JobSpec
from app.contract.teachers import Ensemble


def taught_by(teachers: Sequence[Family]) -> bool:
    """Return whether what is learnt are embeddings."""
    return any(teacher.gives_embeddings() for teacher in teachers)


def refusals(spec: JobSpec, teachers: Sequence[Family], student: Family) -> Iterator[tuple[str, str]]:
    """Yield a JSON pointer into the spec, and a sentence, for all in it that does not go with what the teachers give.

    The student may be of any family whose outputs are as many as an embedding has numbers (`classes`).
    """
    if not taught_by(teachers):
        if student.gives_embeddings():
            yield "/student", "the student gives embeddings, and the teacher tells classes apart"
        return
    if not all(teacher.gives_embeddings() for teacher in teachers):
        yield (
            "/teacher",
            "some of the teachers give embeddings, and some tell classes apart",
        )
    if isinstance(spec.teacher, Ensemble) and spec.teacher.combine == "probabilities":
        yield (
            "/teacher/combine",
            "embeddings are no probabilities: `logits` is their weighted mean",
        )
    for pointer, term in spec.pointed_terms:
        if term.distributions:
            detail = f"{term.title}: it reads outputs as distributions over classes, and the teacher gives embeddings"
            yield pointer, f"{detail}; take logit_mse or embedding_cosine"
    stopping = spec.training.early_stopping
    if stopping and stopping.monitor != "loss":
        yield "/training/early_stopping/monitor", "embeddings name no classes: only the loss can be monitored"
