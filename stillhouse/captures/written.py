"""An exported graph written down as the contract's calls, tensors and constants."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from app.contract.graphs.operators import OPERATORS, writes
from app.contract.graphs.program import INPUT, MASK, Call, Program
from app.contract.graphs.tensors import BYTES, GraphTensor
from stillhouse.captures.exported import Exported
from stillhouse.captures.starts import start_of, values_of
from stillhouse.errors import NotCaptured

_CHECKS = re.compile(r"aten\.(_assert\w*|sym_constrain_range\w*)\.\w+")
"""Operators that only look whether all is well."""
_LEFT_OUT = {"layout", "pin_memory"}


class Constants:
    """Tensors of a graph that no state dict holds; equal ones are one."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._names: dict[tuple[str, tuple[int, ...], str], str] = {}
        self.tensors: list[GraphTensor] = []

    def name(self, wish: str, tensor: Tensor) -> str:
        """Return the name of a constant, known or new."""
        kind, shape, values = dtype_of(tensor, wish), tuple(tensor.shape), values_of(tensor)
        key = (kind, shape, values.data)
        if key not in self._names:
            number, name = 1, wish
            while name in self._taken:
                number, name = number + 1, f"{wish}_{number + 1}"
            self._taken.add(name)
            self._names[key] = name
            self.tensors.append(GraphTensor(name=name, shape=shape, dtype=kind, role="constant", start=values))
        return self._names[key]


def saved_tensors(module: nn.Module) -> list[GraphTensor]:
    """Return the tensors of the state dict, in its order. Raises NotCaptured where it holds something else."""
    state: Mapping[str, Any] = module.state_dict(keep_vars=True)
    known: dict[int, str] = {}
    found = []
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise NotCaptured(f"the state dict's {name!r} is no tensor but a {type(tensor).__name__}")
        owner, leaf = module.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        tied = known.setdefault(id(tensor), name)
        parameter = isinstance(tensor, nn.Parameter)
        start = None if tied != name else start_of(owner, leaf, tensor)
        found.append(
            GraphTensor(
                name=name,
                shape=tuple(tensor.shape),
                dtype=dtype_of(tensor, name),
                role="parameter" if parameter else "buffer",
                trained=parameter and tensor.requires_grad,
                tied_to=None if tied == name else tied,
                start=start,
            )
        )
    return found


def program_of(exported: Exported, saved: Iterable[str], constants: Constants) -> Program:
    """Return the calls that lead to the logits, and those that write. Raises NotCaptured, naming every operator."""
    saved, inputs = set(saved), iter((INPUT, MASK))
    references: dict[fx.Node, dict[str, str]] = {}
    calls = []
    nodes = _needed(exported)
    _check_known(nodes)
    for node in nodes:
        if node.op == "placeholder":
            references[node] = {"value": next(inputs)}
        elif node.op == "get_attr":
            references[node] = {"tensor": _tensor(exported.graph_module, str(node.target), saved, constants)}
        elif node.op == "call_function":
            references[node] = {"value": _free(node.name)}
            calls.append(_call(node, references))
    return Program(calls=tuple(calls), output=references[exported.logits]["value"])


def dtype_of(tensor: Tensor, name: str) -> Any:
    """Return a tensor's dtype in words. Raises NotCaptured where it is none of the known ones."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in BYTES:
        raise NotCaptured(f"the tensor {name!r} holds {kind}; known are {', '.join(BYTES)}")
    return kind


def _needed(exported: Exported) -> list[fx.Node]:
    needed, found = {exported.logits}, []
    for node in reversed(exported.graph_module.graph.nodes):
        used = node in needed or node.op == "placeholder" or (node.op == "call_function" and writes(_operator(node)))
        if used and node.op not in {"output", "call_module"}:
            needed |= set(node.all_input_nodes)
            found.append(node)
    return [node for node in reversed(found) if not _CHECKS.fullmatch(_operator(node))]


def _check_known(nodes: Iterable[fx.Node]) -> None:
    unknown = {
        f"{_operator(node)} (in {_module(node) or 'the network itself'})": None
        for node in nodes
        if node.op == "call_function" and _operator(node) not in OPERATORS
    }
    if unknown:
        raise NotCaptured(f"captured networks cannot call these operators: {', '.join(unknown)}")


def _operator(node: fx.Node) -> str:
    if isinstance(node.target, str | torch._ops.OperatorBase):  # noqa: SLF001 - its only name
        return str(node.target)
    library = (getattr(node.target, "__module__", None) or "").removeprefix("_")
    return f"{library}.{getattr(node.target, '__name__', node.target)}"


def _call(node: fx.Node, references: Mapping[fx.Node, dict[str, str]]) -> Call:
    kwargs = {name: value for name, value in node.kwargs.items() if name not in _LEFT_OUT and value is not None}
    try:
        return Call(
            name=references[node]["value"],
            operator=_operator(node),
            args=[_plain(argument, references) for argument in node.args],
            kwargs={name: _plain(value, references) for name, value in kwargs.items()},
            module=_module(node),
        )
    except TypeError as error:
        raise NotCaptured(f"the call {node.name!r} of {_operator(node)} takes {error}") from error


def _plain(argument: Any, references: Mapping[fx.Node, dict[str, str]]) -> Any:
    match argument:
        case None | bool() | int() | str():
            return argument
        case fx.Node():
            return references[argument]
        case float():
            return argument if abs(argument) < float("inf") else {"number": str(argument)}
        case list() | tuple():
            return [_plain(below, references) for below in argument]
        case torch.dtype() | torch.memory_format():
            return {type(argument).__name__: str(argument).removeprefix("torch.")}
        case torch.device():
            return {"device": INPUT}
    raise TypeError(f"a {type(argument).__name__}, for which there is no word")


def _tensor(graph_module: fx.GraphModule, target: str, saved: set[str], constants: Constants) -> str:
    if target in saved:
        return target
    path, _, leaf = target.rpartition(".")
    tensor = getattr(graph_module.get_submodule(path), leaf)
    if isinstance(tensor, nn.Parameter):
        raise NotCaptured(f"the parameter {target!r} is not in the module's state dict")
    return constants.name(target, tensor)


def _module(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    path = next((str(entry[0]) for entry in reversed(stack.values()) if isinstance(entry, tuple)), "")
    return re.sub(r"@\d+", "", path)


def _free(name: str) -> str:
    return f"{name}_" if name in {INPUT, MASK} else name
