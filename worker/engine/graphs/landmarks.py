"""What a captured network's calls show of its structure, by a pass on torch's meta device.

B = batch, K = channels, H, W = rows and columns, L = tokens, D = channels of a token.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Protocol

import torch
from torch import Tensor

from app.contract.architectures import Graph
from app.contract.architectures.graph import TokenInput
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.point import Point, numbered

_BATCH = 2
_LONGEST = 16
"""Tokens of the made-up text."""
_LINEAR = "aten.linear.default"
_NUMBERED = re.compile(r"(?P<stack>.*?)(?P<number>\d+)")


class Network(Protocol):
    """A captured network, of no memory."""

    def __call__(self, inputs: Inputs) -> Tensor: ...

    def listen(self, point: Point, hear: Callable[[Tensor], None]) -> Any: ...


Shapes = Mapping[str, tuple[int, ...]]
"""What each module answers with, in the order in which they are first called; without values."""


def of(network: Network, family: Graph) -> dict[str, Point]:
    """Return the points of `stage:i` or `hidden:i`, and `pooled`, as far as the calls show them."""
    program = family.in_evaluation
    modules = [call.module for call in program.calls]
    try:
        shapes = _shapes(network, family, modules)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        shapes = {}  # a pass needs values, or does not work at all: whoever trains it is told why
    found = _stages(shapes, _ends(modules)) or _stack(shapes)
    head = next(call for call in program.calls if call.name == program.output)
    return found | ({"pooled": Point(head.module, "input")} if head.operator == _LINEAR and head.module else {})


def _shapes(network: Network, family: Graph, modules: Sequence[str]) -> Shapes:
    heard: dict[str, Any] = {}
    paths = list(dict.fromkeys(above for path in modules for above in _chain(path)))
    listening = [network.listen(Point(path), partial(heard.__setitem__, path)) for path in paths]
    try:
        with torch.no_grad():
            network(_made_up(family))
    finally:
        for handle in listening:
            handle.remove()
    return {path: tuple(heard[path].shape) for path in paths if isinstance(heard.get(path), Tensor)}


def _ends(modules: Sequence[str]) -> list[str]:
    """Return the modules in the order in which they end; of those that end together the outermost."""
    last = {above: place for place, path in enumerate(modules) for above in _chain(path)}
    ending: dict[int, str] = {}
    for path in sorted(last, key=len):
        ending.setdefault(last[path], path)
    return [ending[place] for place in sorted(ending)]


def _chain(path: str) -> list[str]:
    """Return a module's path and those of all around it, the outermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _stages(shapes: Shapes, ends: Sequence[str]) -> dict[str, Point]:
    """Return the last maps of each resolution."""
    maps = [path for path in ends if len(shapes.get(path, ())) == 4 and shapes[path][2] * shapes[path][3] > 1]
    return numbered("stage", [list(group)[-1] for _, group in groupby(maps, key=lambda path: shapes[path][2:])])


def _stack(shapes: Shapes) -> dict[str, Point]:
    """Return the longest run of numbered modules that answer with tokens: a stack of layers.

    Items of a list (`layers.0`) go before names with numbers, which a layer's own parts have too (`norm1`, `norm2`).
    """
    stacks: dict[str, list[str]] = {}
    for path, shape in shapes.items():
        if len(shape) == 3 and (found := _NUMBERED.fullmatch(path)):
            stacks.setdefault(found["stack"], []).append(path)
    listed = {stack: paths for stack, paths in stacks.items() if not stack or stack.endswith(".")}
    layers: list[str] = max((listed or stacks).values(), key=len, default=[])
    after = {f"hidden:{number}": Point(path) for number, path in enumerate(layers, start=1)}
    return {"hidden:0": Point(layers[0], "input")} | after if layers else {}


def _made_up(family: Graph) -> Inputs:
    if not isinstance(family.input, TokenInput):
        return torch.empty(_BATCH, *family.input.shape, device="meta")
    length = max(family.input.shortest, min(family.input.longest or _LONGEST, _LONGEST))
    ids_BL = torch.zeros(_BATCH, length, dtype=torch.int64, device="meta")
    return Tokens(ids_BL, ids_BL.bool(), torch.full((_BATCH,), length, device="cpu"))
