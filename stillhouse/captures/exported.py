"""What torch.export makes of a module in one of its modes."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim
from torch.utils import _pytree as pytree

from stillhouse.errors import NotCaptured

UNTOLD = 2
"""A least size up to here says nothing: torch.export takes whatever varies to be 2 or more."""
_UNBOUNDED = 2**40


@dataclass(frozen=True)
class Axis:
    """A size that may vary: its name, and its bounds as torch.export found them."""

    name: str
    least: int
    most: int | None


@dataclass(frozen=True)
class Exported:
    """A graph of calls on high-level operators."""

    graph_module: fx.GraphModule
    logits: fx.Node
    axes: list[tuple[int | Axis, ...]]
    """Of each input."""
    outputs: pytree.TreeSpec
    output: str | int | None

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logits of a batch, without the checks that hold inputs to the sizes of the example."""
        leaves = _Plainly(self.graph_module).run(*inputs, enable_io_processing=False)
        logits: Tensor = logits_of(pytree.tree_unflatten(leaves, self.outputs), self.output)
        return logits


class _Plainly(fx.Interpreter):
    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        return None  # there are none but the guards


def export(module: nn.Module, inputs: Sequence[Tensor], free: Sequence[int], output: str | int | None) -> Exported:
    """Export a module in the mode that it is in; `free` axes may have any size. Raises NotCaptured."""
    shapes = tuple(dict.fromkeys(free, Dim.AUTO) for _ in inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, tuple(inputs), dynamic_shapes=shapes, strict=False)
            graph_module = program.module()
    except Exception as error:
        why = " ".join(str(error).split())[:500]
        raise NotCaptured(
            f"torch.export cannot follow {type(module).__name__}: {type(error).__name__}: {why}"
        ) from error
    assert isinstance(graph_module, fx.GraphModule)
    nodes = list(graph_module.graph.nodes)
    axes = [_axes(node, program.range_constraints) for node in nodes if node.op == "placeholder"]
    outputs = program.call_spec.out_spec
    logits = logits_of(pytree.tree_unflatten(nodes[-1].args[0], outputs), output)
    return Exported(graph_module, logits, axes, outputs, output)


def logits_of(answer: Any, output: str | int | None) -> Any:
    """Return the logits among what a network answers with. Raises NotCaptured where they cannot be told."""
    try:
        if output is not None:
            return answer[output] if not isinstance(output, str) or hasattr(answer, "keys") else getattr(answer, output)
        if hasattr(answer, "keys"):
            return answer["logits"]
        return answer.logits if hasattr(answer, "logits") else _only(answer)
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise NotCaptured(
            f"the network answers with a {type(answer).__name__}: name its logits, such as output='logits' or output=0"
        ) from error


def _only(answer: Any) -> Any:
    if isinstance(answer, tuple | list):
        [answer] = answer if len(answer) == 1 else [None]
    if not isinstance(answer, Tensor | fx.Node):
        raise TypeError
    return answer


def _axes(node: fx.Node, ranges: dict[Any, Any]) -> tuple[int | Axis, ...]:
    return tuple(_axis(size, ranges) for size in node.meta["val"].shape)


def _axis(size: Any, ranges: dict[Any, Any]) -> int | Axis:
    if isinstance(size, int):
        return size
    found = ranges.get(size.node.expr)
    if found is None:  # such as twice something
        return int(size.node.hint)
    most = int(found.upper) if found.upper < _UNBOUNDED else None
    return Axis(str(size), int(found.lower), most)


@contextmanager
def mode(module: nn.Module, *, training: bool) -> Iterator[None]:
    """Put a module into a mode and back, each of its parts; attention takes the operators that can be trained."""
    before = {part: part.training for part in module.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        module.train(training)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, was_training in before.items():
            part.training = was_training
