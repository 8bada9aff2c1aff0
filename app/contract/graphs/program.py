"""What a captured network does: calls of operators, one after another, each on what came before."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import Field, StringConstraints, field_validator, model_validator

from app.contract.base import Contract, did_you_mean
from app.contract.graphs.operators import MODES, OPERATORS, writes
from app.contract.graphs.tensors import Dtype, Path

MAX_CALLS = 10_000
MAX_PARTS = 2_000
"""Numbers, words and references in the arguments of one call."""
MAX_DEPTH = 4
INPUT, MASK = "input", "mask"
"""The values that a program is given."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
_WORDS: dict[str, frozenset[str]] = {
    "dtype": frozenset(get_args(Dtype)),
    "number": frozenset({"inf", "-inf", "nan"}),
    "memory_format": frozenset({"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"}),
    "device": frozenset({"input"}),
}
"""What stands in for what JSON has no word for, such as `{"dtype": "float32"}`; the device is always the input's."""
_KINDS = ("value", "tensor", *_WORDS)
_WORD = re.compile(r"[A-Za-z_ ,.>-]{0,100}")
"""What operators themselves are told in words: `tanh`, `same`, `reflect`, `bi,ij->bj`."""


class Call(Contract):
    """One operator at work."""

    name: Name
    """Of what it answers with."""
    operator: str = Field(max_length=128)
    """By overload, such as `aten.conv2d.default`; arithmetic on sizes as `operator.mul`."""
    args: list[Any] = Field(default_factory=list)
    """Numbers, words, lists of them; `{"value": name}` is what an earlier call answered with, `{"tensor": name}` a
    parameter, buffer or constant."""
    kwargs: dict[Name, Any] = Field(default_factory=dict, max_length=32)
    module: Path = ""
    """Path of the module in whose forward pass it was captured."""

    @field_validator("operator")
    @classmethod
    def _is_known(cls, operator: str) -> str:
        if operator not in OPERATORS:
            near = did_you_mean(operator, OPERATORS)
            raise ValueError(f"the operator '{operator}' is not one that captured networks may call{near}")
        return operator

    @model_validator(mode="after")
    def _is_plain(self) -> Self:
        parts = sum(_count(argument, 0) for argument in (self.args, *self.kwargs.values()))
        if parts > MAX_PARTS:
            raise ValueError(f"the call '{self.name}' has {parts:,} arguments; at most {MAX_PARTS:,} are taken")
        return self

    def references(self, kind: str) -> Iterator[str]:
        """Yield the names of the values or tensors (`kind`) that it takes."""
        yield from _references([self.args, *self.kwargs.values()], kind)

    @property
    def written(self) -> str | None:
        """The tensor into which it writes, or None; what it writes into other calls' answers is theirs."""
        if not writes(self.operator) or not self.args or not isinstance(self.args[0], dict):
            return None
        return self.args[0].get("tensor")


class Program(Contract):
    """Calls in their order, and which answer is the network's."""

    calls: tuple[Call, ...] = Field(min_length=1, max_length=MAX_CALLS)
    output: Name
    """The value that holds the logits."""

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        known = {INPUT, MASK}
        for call in self.calls:
            if undefined := next((name for name in call.references("value") if name not in known), None):
                raise ValueError(f"the call '{call.name}' takes the value '{undefined}', which no earlier call gives")
            if call.name in known:
                raise ValueError(f"two values are called '{call.name}'")
            known.add(call.name)
        if self.output not in known - {INPUT, MASK}:
            raise ValueError(f"no call gives the output '{self.output}'")
        return self

    def evaluated(self) -> "Program":
        """Return what evaluation makes of it: no dropout, batch norms by their statistics, nothing written."""
        calls = [_switched(call) for call in self.calls if call.written is None]
        return Program(calls=tuple(calls), output=self.output)


def _switched(call: Call) -> Call:
    if call.operator not in MODES:
        return call
    place, name, value = MODES[call.operator]
    if name in call.kwargs:
        return call.model_copy(update={"kwargs": {**call.kwargs, name: value}})
    if len(call.args) > place:
        return call.model_copy(update={"args": [*call.args[:place], value, *call.args[place + 1 :]]})
    return call


def same(one: Program, other: Program) -> bool:
    """Return whether two programs do the same, whatever their values are called."""
    return _numbered(one) == _numbered(other)


def _numbered(program: Program) -> list[Any]:
    numbers = {INPUT: -1, MASK: -2} | {call.name: place for place, call in enumerate(program.calls)}
    calls: list[Any] = [
        (call.operator, *(_renamed(part, numbers) for part in _without_default(call))) for call in program.calls
    ]
    return [*calls, numbers[program.output]]


def _without_default(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's arguments; one that says what is so in evaluation may be left out at their end."""
    place, name, value = MODES.get(call.operator, (-1, "", None))
    args = call.args[:place] if len(call.args) == place + 1 and call.args[place] == value else call.args
    return args, {key: argument for key, argument in call.kwargs.items() if (key, argument) != (name, value)}


def _renamed(argument: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(argument, dict):
        if set(argument) == {"value"}:
            return {"value": numbers[argument["value"]]}
        return {name: _renamed(below, numbers) for name, below in argument.items()}
    return [_renamed(below, numbers) for below in argument] if isinstance(argument, list) else argument


def _references(arguments: Sequence[Any], kind: str) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, list):
            yield from _references(argument, kind)
        elif isinstance(argument, dict) and kind in argument:
            yield argument[kind]


def _count(argument: Any, depth: int) -> int:
    """Return how many parts an argument has. Raises ValueError where it is not plain data."""
    if depth > MAX_DEPTH:
        raise ValueError(f"arguments are nested more than {MAX_DEPTH} deep")
    if isinstance(argument, list):
        return 1 + sum(_count(below, depth + 1) for below in argument)
    if isinstance(argument, dict):
        _check_reference(argument)
    elif isinstance(argument, str):
        if not _WORD.fullmatch(argument):
            raise ValueError(f"{argument[:50]!r} is not a word that operators know")
    else:
        _check_number(argument)
    return 1


def _check_number(argument: Any) -> None:
    if argument is not None and not isinstance(argument, int | float):
        raise ValueError(f"an argument is a number, word, list or reference, not {type(argument).__name__}")
    if isinstance(argument, float) and not math.isfinite(argument):
        raise ValueError('a number that is not finite is written {"number": "inf"}, "-inf" or "nan"')
    if isinstance(argument, int) and abs(argument) >= 2**63:
        raise ValueError("a whole number takes more than 64 bits")


def _check_reference(argument: dict[Any, Any]) -> None:
    if len(argument) != 1:
        raise ValueError("a reference or word has one key, such as {'value': 'linear'}")
    [(kind, word)] = argument.items()
    if kind not in _KINDS or not isinstance(word, str) or len(word) > 512:
        raise ValueError(f"'{str(kind)[:50]}' is not a kind of argument (known: {', '.join(_KINDS)})")
    if kind in _WORDS and word not in _WORDS[kind]:
        raise ValueError(f"the {kind} '{word[:50]}' is not one of {', '.join(sorted(_WORDS[kind]))}")
