"""The listed operators as functions, and each call's arguments held against what its operator takes."""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from app.contract.graphs.operators import OPERATORS, SIZES, UNDEFINED
from app.contract.graphs.program import INPUT, Call
from worker.engine.failures import Refused

Operator = Callable[..., Any]
_OF_NUMBERS: dict[str, dict[str, Operator]] = {
    "operator": {
        name: getattr(operator, name)
        for name in ("add", "eq", "floordiv", "ge", "gt", "le", "lt", "mod", "mul", "ne", "neg", "sub", "truediv")
    },
    "math": {name: getattr(math, name) for name in ("ceil", "floor", "trunc")},
    "torch": {"sym_float": float, "sym_int": int, "sym_max": max, "sym_min": min, "sym_not": operator.not_},
}
_CUDNN = {"cudnn_enable", "cudnn_enabled"}


def resolve(name: str) -> Operator:
    """Return a listed operator. Raises Refused where this torch does not have it."""
    assert name in OPERATORS  # the contract lets no other through
    if name == "operator.getitem":
        return _part
    library, _, word = name.partition(".")
    if name in SIZES:
        return _of_numbers(_OF_NUMBERS[library][word])
    word, _, overload = UNDEFINED.get(name, name).removeprefix("aten.").partition(".")
    found = getattr(getattr(torch.ops.aten, word, None), overload, None)
    if found is None:
        raise Refused(f"torch {torch.__version__} has no operator '{name}'.")
    own: Operator = found
    return own


def fitted(call: Call, own: Operator) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's arguments as its operator takes them. Raises Refused where they are not of its kind."""
    schema = getattr(own, "_schema", None)
    args, kwargs = list(call.args), dict(call.kwargs)
    if schema is None:
        if kwargs:
            raise Refused(f"The call '{call.name}' ({call.operator}) takes no named arguments.")
        return args, kwargs
    if call.operator in UNDEFINED:
        kwargs.pop("memory_format", None)
    _check(call, schema, args, kwargs)
    if _makes_a_tensor(schema):
        kwargs["device"] = {"device": INPUT}
    for place, argument in enumerate(schema.arguments[: len(args)]):
        if argument.name in _CUDNN:  # what the other machine had is of no account
            args[place] = torch.backends.cudnn.enabled
    return args, kwargs


def _makes_a_tensor(schema: Any) -> bool:
    # Out of nothing but numbers, so that nothing else says where.
    types = [str(argument.type) for argument in schema.arguments]
    return "Tensor" not in types and any(argument.name == "device" for argument in schema.arguments)


def _check(call: Call, schema: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    positional = [argument.name for argument in schema.arguments if not argument.kwarg_only]
    given = {*positional[: len(args)], *kwargs}
    names = {argument.name for argument in schema.arguments}
    needed = [argument.name for argument in schema.arguments if not argument.has_default_value()]
    missing = [name for name in needed if name not in given]
    problem = ""
    if len(args) > len(positional):
        problem = f"has {len(args)} arguments, and its operator takes {len(positional)}"
    elif missing:
        problem = f"lacks the argument '{missing[0]}'"
    elif strange := sorted(kwargs.keys() - names) or sorted(kwargs.keys() & set(positional[: len(args)])):
        problem = f"has an argument '{strange[0]}' too many"
    if problem:
        raise Refused(f"The call '{call.name}' ({call.operator}) {problem}.")


def _part(whole: Any, place: Any) -> Any:
    # Of what an operator answers with; the parts of a tensor are taken by other operators.
    if not isinstance(whole, tuple | list) or type(place) is not int:
        raise TypeError("only a numbered part of several answers can be taken")
    return whole[place]


def _of_numbers(function: Operator) -> Operator:
    def bounded(*numbers: Any) -> Any:
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("arithmetic on sizes takes numbers")
        found = function(*numbers)
        if abs(found) >= 2**63:
            raise ValueError("a size takes more than 64 bits")
        return found

    return bounded
