"""Which output stands for which class: networks and data that put the same classes in another order go by their names.

The student learns *its* classes: those that it had as a registered model, else the transfer set's, else a teacher's, of
whoever first names as many as it has outputs. Labels and every teacher's logits are put in that order. Where nobody
names them, classes are what their numbers say.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, Field

from app.contract.students import Student, TeacherLayers
from app.contract.transfer.text import ClassName

Names = tuple[str, ...]
"""Of classes 0, 1, ...; empty where they are only numbered."""
_LISTED = 5
"""Names that a sentence lists."""


def _distinct(names: Names) -> Names:
    if len(set(names)) < len(names):
        raise ValueError("the names of the classes must differ from one another")
    return names


ClassNames = Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=100_000), AfterValidator(_distinct)]


def learnt(classes: int, student: Student, own: Names, data: Names, teachers: Sequence[Names]) -> Names:
    """Return the names of the student's classes, of which there are `classes`; empty where nobody names as many.

    `own`: what the student was registered with. A student that takes over its (first) teacher's layers takes over the
    order of its outputs too.
    """
    inherited = teachers[:1] if isinstance(student.start(), TeacherLayers) else ()
    return next((names for names in (own, *inherited, data, *teachers) if len(names) == classes), ())


def refusal_of_teacher(taught: int, known: Names, classes: int, wanted: Names) -> str | None:
    """Return why a teacher of `taught` classes cannot teach these `classes`, or None."""
    if known and wanted:
        return lack(known, wanted, "the teacher does not know")
    if taught == classes:
        return None
    return (
        f"the teacher tells {taught} classes apart and the student {classes}; they must be equal, or named on both "
        "sides (class_names of the teacher, and class names in the transfer set)"
    )


def refusal_of_data(data: Names, wanted: Names, own: Names) -> str | None:
    """Return why labels of these names cannot be learnt, or None."""
    who = "the student was not registered with" if wanted == own else "the teacher does not know"
    return lack(wanted, data, who) if data and wanted else None


def lack(known: Names, wanted: Names, who: str) -> str | None:
    """Return a sentence of who lacks which classes, each with the nearest one that there is; None where none lacks."""
    own = set(known)
    missing = [name for name in wanted if name not in own]
    if not missing:
        return None
    listed = ", ".join(f"{name!r}{_nearest(name, known)}" for name in missing[:_LISTED])
    more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
    return f"{who} the class{'es' if len(missing) > 1 else ''} {listed}{more}"


def places(wanted: Names, known: Names) -> tuple[int, ...]:
    """Return where each wanted class stands among the known ones, which lack none of them."""
    place = {name: number for number, name in enumerate(known)}
    return tuple(place[name] for name in wanted)


def _nearest(name: str, known: Collection[str]) -> str:
    folded = {other.casefold(): other for other in known}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f" (the nearest that it knows: {folded[near[0]]!r})" if near else ""
