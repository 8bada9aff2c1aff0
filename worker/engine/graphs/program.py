"""A program run call by call; no code is generated, and none of anybody else's is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from app.contract import graphs
from app.contract.graphs.program import INPUT, MASK, Call
from worker.engine.failures import Refused
from worker.engine.graphs.operators import Operator, fitted, resolve
from worker.engine.taps.ears import Ears

MAX_VALUES = 2**32
"""Numbers in all answers together, for each sample of a batch: what a network may make of one sample."""
_NOBODY = Ears()
_DEVICE = 2
"""Where the device lies among the slots; input and mask come before it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for whatever lies there when the program runs."""

    place: int


@dataclass(frozen=True, slots=True)
class Step:
    """A call, ready to be made."""

    call: Call
    operator: Operator
    args: list[Any]
    kwargs: dict[str, Any]
    answer: int
    last: tuple[int, ...]
    """Slots that no later step looks at."""


class Runnable:
    """A program whose operators are found and whose references are numbers. Raises Refused where one does not fit."""

    def __init__(self, program: graphs.program.Program, tensors: Sequence[str]) -> None:
        places = {("value", INPUT): 0, ("value", MASK): 1, ("device", INPUT): _DEVICE}
        places |= {("tensor", name): place for place, name in enumerate(tensors, start=_DEVICE + 1)}
        first = len(places)
        places |= {("value", call.name): place for place, call in enumerate(program.calls, start=first)}
        self._answers = len(program.calls)
        self._output = places["value", program.output]
        last = _last_uses(program.calls, places, first)
        self._steps = [
            _step(call, places, tuple(place for place in last.get(call.name, ()) if place != self._output))
            for call in program.calls
        ]

    @property
    def steps(self) -> Sequence[Step]:
        """The calls in their order."""
        return self._steps

    def place_of(self, path: str, side: Literal["input", "output"]) -> int | None:
        """Return the slot of what a module answers with, or is given: its last call's answer, its first one's input."""
        below = [step for step in self._steps if _within(step.call.module, path)]
        if not below:
            return None
        if side == "output":
            return below[-1].answer
        return next((given.place for given in below[0].args if type(given) is Slot), None)

    def run(self, inputs: Tensor, mask: Tensor | None, tensors: Sequence[Tensor], ears: Ears = _NOBODY) -> Tensor:
        """Return what the program makes of a batch. An error is told with its call."""
        slots: list[Any] = [inputs, mask, inputs.device, *tensors, *[None] * self._answers]
        counted = 0
        if 0 in ears:
            ears.tell(0, inputs)
        for step in self._steps:
            try:
                answer = step.operator(*_filled(step.args, slots), **_named(step.kwargs, slots))
            except Exception as error:
                error.add_note(_whereabouts(step.call))
                raise
            slots[step.answer] = answer
            if step.answer in ears:
                ears.tell(step.answer, answer)
            if inputs.is_meta:
                counted += _count(answer)
                if counted > MAX_VALUES * len(inputs):
                    raise Refused(_too_large(step.call, len(inputs)))
            for place in step.last:
                slots[place] = None
        output: Tensor = slots[self._output]
        return output


def _within(module: str, path: str) -> bool:
    return module == path or module.startswith(path + ".")


def _step(call: Call, places: Mapping[tuple[str, str], int], last: tuple[int, ...]) -> Step:
    operator = resolve(call.operator)
    args, kwargs = fitted(call, operator)
    named = {name: _placed(argument, places) for name, argument in kwargs.items()}
    return Step(call, operator, _placed(args, places), named, places["value", call.name], last)


def _placed(argument: Any, places: Mapping[tuple[str, str], int]) -> Any:
    if isinstance(argument, list):
        return [_placed(below, places) for below in argument]
    if not isinstance(argument, dict):
        return argument
    [(kind, word)] = argument.items()
    if kind == "number":
        return float(word)
    return Slot(places[kind, word]) if (kind, word) in places else getattr(torch, word)


def _last_uses(calls: Sequence[Call], places: Mapping[tuple[str, str], int], first: int) -> dict[str, list[int]]:
    """Return, by call, the answers that are looked at there for the last time, its own where nobody looks at it."""
    user: dict[int, str] = {}
    for call in calls:
        user[places["value", call.name]] = call.name
        user |= {places["value", name]: call.name for name in call.references("value")}
    found: dict[str, list[int]] = {}
    for place, name in user.items():
        if place >= first:
            found.setdefault(name, []).append(place)
    return found


def _filled(arguments: list[Any], slots: list[Any]) -> list[Any]:
    return [
        slots[argument.place]
        if type(argument) is Slot
        else _filled(argument, slots)
        if type(argument) is list
        else argument
        for argument in arguments
    ]


def _named(arguments: dict[str, Any], slots: list[Any]) -> dict[str, Any]:
    return dict(zip(arguments, _filled(list(arguments.values()), slots), strict=True)) if arguments else arguments


def _count(answer: Any) -> int:
    if isinstance(answer, Tensor):
        return answer.numel()
    return sum(_count(part) for part in answer) if isinstance(answer, tuple | list) else 0


def _whereabouts(call: Call) -> str:
    module = f", module '{call.module}'" if call.module else ""
    return f"(In the call '{call.name}' of {call.operator}{module}.)"


def _too_large(call: Call, samples: int) -> str:
    return (
        f"The network makes more than {MAX_VALUES:,} numbers of each sample (batch of {samples}). {_whereabouts(call)}"
    )
