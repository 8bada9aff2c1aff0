"""Terms of an objective that the job's own networks can teach nothing by, whatever the transfer set."""

from collections.abc import Iterator

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
