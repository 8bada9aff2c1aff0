"""Taps: the places in a network whose values can be learnt from, by a module's path or by a family's short name.

Short names are `pooled`, `logits`, and a kind with a number, counted from 0 or, below 0, from the end:
`stage:i` (maps of an image network, by resolution), `preact:i` (the same before their activation), `hidden:i` (states
after layer i; 0 are those before the first), `attention:i` (scores before the softmax), `qkv:i` (queries, keys,
values). `layer:i` is `stage:i` or, where a network has no stages, `hidden:i`. Any other name is the dotted path of a
module, and means what the module answers with.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from app.contract.base import Contract, did_you_mean

Layout = Literal["map", "tokens", "vector", "attention", "qkv"]
TapName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:*-]{1,256}$")]
NUMBERED = ("stage", "preact", "hidden", "attention", "qkv", "layer")
_SHORT = re.compile(rf"({'|'.join(NUMBERED)}):(-?\d+|\*)")
_BY_ONE_OPERATOR = frozenset({"attention", "qkv"})
_NOT_CALLED = "; they are caught where torch's scaled_dot_product_attention is called, and it does not call that"
_FROM_THE_FIRST = frozenset({"hidden"})
"""Kinds whose number 0 is what comes before the first layer."""


class Tap(Contract):
    """A place in a network, and what lies there for one sample."""

    name: str
    layout: Layout
    """`map`: channels, rows, columns; `tokens`: tokens (or steps), channels; `vector`: channels; `attention`: heads,
    tokens, tokens; `qkv`: 3, heads, tokens, channels of a head."""
    shape: tuple[int | None, ...]
    """Without the batch; null where it depends on a text's length."""

    @property
    def channels(self) -> int:
        """How many numbers there are at each position; of attention the heads."""
        width = self.shape[{"map": 0, "tokens": 1, "vector": 0, "attention": 0, "qkv": 1}[self.layout]]
        assert width is not None
        return width

    def pooled(self) -> "Tap":
        """Return what lies there once it is one vector a sample, such as the mean over positions."""
        return vector_tap(self.name, self.channels)


def map_tap(name: str, shape: tuple[int, ...]) -> Tap:
    """Return a tap of channels, rows, columns."""
    return Tap(name=name, layout="map", shape=shape)


def tokens_tap(name: str, tokens: int | None, channels: int) -> Tap:
    """Return a tap of tokens or steps."""
    return Tap(name=name, layout="tokens", shape=(tokens, channels))


def vector_tap(name: str, channels: int) -> Tap:
    """Return a tap of one vector a sample."""
    return Tap(name=name, layout="vector", shape=(channels,))


class Pair(Contract):
    """Where the student is to become like the teacher; `"stage:1"` alone means the same name in both.

    `hidden:*` and its like mean all of a kind: each of the student's with the teacher's at the same relative depth.
    """

    teacher: TapName
    student: TapName
    weight: float = Field(default=1.0, gt=0)
    """This pair's share of the term: values are averaged with it."""


def _same_name(given: Any) -> Any:
    return {"teacher": given, "student": given} if isinstance(given, str) else given


_GivenPair = Annotated[Pair, BeforeValidator(_same_name, json_schema_input_type=TapName | Pair)]
Layers = Annotated[tuple[_GivenPair, ...], Field(min_length=1, max_length=64)]
AnyLayers = Annotated[tuple[_GivenPair, ...], Field(max_length=64)]
"""Of a part of a term that can be switched off, by no pairs."""


class Unknown(ValueError):
    """A tap that a network does not have."""


def is_short(name: str) -> bool:
    """Return whether a name is not the path of a module."""
    return name in {"pooled", "logits"} or ":" in name


def all_alike(name: str) -> bool:
    """Return whether a name means all taps of a kind."""
    return name.endswith(":*")


def named(name: str, known: Sequence[str]) -> str:
    """Return the name under which a network of these taps knows `name`. Raises Unknown, naming the nearest ones."""
    if name in known:
        return name
    if found := _SHORT.fullmatch(name):
        kind, number = found[1], int(found[2])
        counted = of_kind(kind, known)
        if -len(counted) <= number < len(counted):
            return counted[number]
        kind_known = f"it has {len(counted)} of them" if counted else f"it has none of that kind{_why_none(kind)}"
        raise Unknown(f"there is no '{name}': {kind_known}")
    raise Unknown(f"there is no '{name}'{did_you_mean(name, known)}")


def of_kind(kind: str, known: Sequence[str]) -> list[str]:
    """Return a network's taps of a kind, in their order."""
    if kind == "layer":
        return of_kind("stage", known) or of_kind("hidden", known)
    return [name for name in known if name.partition(":")[0] == kind and ":" in name]


def resolved(pairs: Sequence[Pair], teacher: Sequence[str], student: Sequence[str]) -> list[Pair]:
    """Return pairs under the names of both networks' taps. Raises Unknown, telling whose tap it is."""
    return [found for pair in pairs for found in _resolved(pair, teacher, student)]


def _resolved(pair: Pair, teacher: Sequence[str], student: Sequence[str]) -> list[Pair]:
    if not (all_alike(pair.teacher) or all_alike(pair.student)):
        names = {"teacher": _of("teacher", pair.teacher, teacher), "student": _of("student", pair.student, student)}
        return [pair.model_copy(update=names)]
    if not (all_alike(pair.teacher) and all_alike(pair.student)):
        raise Unknown(f"'{pair.teacher}' with '{pair.student}': all of a kind go with all of a kind only")
    taught = _all("teacher", pair.teacher, teacher)
    learning = _all("student", pair.student, student)
    return [
        pair.model_copy(update={"teacher": taught[place], "student": name})
        for name, place in zip(learning, _depths(learning[0], len(learning), len(taught)), strict=True)
    ]


def _depths(first: str, learning: int, taught: int) -> list[int]:
    """Return, for each of the student's places, of which `first` is one, the teacher's at the same relative depth."""
    if first.partition(":")[0] in _FROM_THE_FIRST:
        return [round(place * (taught - 1) / max(learning - 1, 1)) for place in range(learning)]
    return [max(round((place + 1) * taught / learning) - 1, 0) for place in range(learning)]


def _all(who: str, name: str, known: Sequence[str]) -> list[str]:
    found = of_kind(name.partition(":")[0], known)
    if not found:
        raise Unknown(f"the {who} has no '{name}'{_why_none(name.partition(':')[0])}")
    return found


def _why_none(kind: str) -> str:
    return _NOT_CALLED if kind in _BY_ONE_OPERATOR else ""


def _of(who: str, name: str, known: Sequence[str]) -> str:
    try:
        return named(name, known)
    except Unknown as unknown:
        raise Unknown(f"in the {who} {unknown}") from None
