"""Any torch.nn.Module as an architecture: exported in both modes, written down, and held against itself."""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from app.contract.architectures import Graph
from app.contract.architectures.graph import ArrayInput, TokenInput
from app.contract.graphs.program import Program, same
from stillhouse.captures.exported import UNTOLD, Axis, Exported, export, logits_of, mode
from stillhouse.captures.lengths import lengths
from stillhouse.captures.written import Constants, dtype_of, program_of, saved_tensors
from stillhouse.errors import NotCaptured

_BATCH, _LENGTH = 0, 1


def graph_of(
    module: nn.Module,
    inputs: Sequence[Tensor],
    *,
    output: str | int | None,
    vocabulary: int | None,
    padding: int | None,
) -> Graph:
    """Return the architecture. Raises NotCaptured where the module cannot be captured, or does otherwise then."""
    tokens = _reads_tokens(inputs)
    inputs = [value if len(value) > 1 else torch.cat([value, value]) for value in inputs]
    exports = {}
    for training in (True, False):
        with mode(module, training=training):
            free = (_BATCH, _LENGTH) if tokens else (_BATCH,)
            exports[training] = export(module, inputs, free, output)
    for exported in exports.values():
        _check_axes(exported, inputs)
    with mode(module, training=False), torch.no_grad():
        logits = _eager(module, inputs, output)
        for batch in (1, 3):
            if not _agrees(module, exports[False], _cut(inputs, _BATCH, batch)):
                raise NotCaptured(f"the captured network does not do in a batch of {batch} what the module does")
        takes = _tokens(module, exports, inputs, vocabulary, padding) if tokens else _array(inputs[0])
    if logits.dim() != 2 or len(logits) != len(inputs[0]):
        raise NotCaptured(f"logits have the shape (batch, classes), and these have {tuple(logits.shape)}")
    return _described(module, exports, takes, logits.shape[1])


def _reads_tokens(inputs: Sequence[Tensor]) -> bool:
    first = inputs[0]
    if first.is_floating_point() and len(inputs) == 1 and first.dim() > 1 and len(first):
        return False
    told = [tuple(value.shape) for value in inputs]
    if first.dtype == torch.int64 and first.dim() == 2 and len(inputs) <= 2 and len(set(told)) == 1 and first.numel():
        return True
    raise NotCaptured(
        f"a network takes floating-point numbers (batch, ...), or int64 tokens (batch, length) with or without a mask "
        f"of that shape, and the example is {', '.join(f'{value.dtype} {tuple(value.shape)}' for value in inputs)}"
    )


def _check_axes(exported: Exported, inputs: Sequence[Tensor]) -> None:
    for axes, value in zip(exported.axes, inputs, strict=True):
        batch = axes[_BATCH]
        if not isinstance(batch, Axis) or batch.least > UNTOLD or batch.most is not None:
            hint = "write inputs.shape[0] instead of a number, len(inputs) or int(...)"
            raise NotCaptured(f"the network's forward fixes the size of its batches to {len(value)}: {hint}")
        if len({axes[:2] for axes in exported.axes}) > 1:
            raise NotCaptured("tokens and mask do not vary together")


def _agrees(module: nn.Module, exported: Exported, inputs: Sequence[Tensor]) -> bool:
    """Return whether the export answers as the module does, in evaluation."""
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            eager = _eager(module, inputs, exported.output)
            torch.manual_seed(0)
            captured = exported.run(inputs)
    except (RuntimeError, ValueError, IndexError):
        return False
    return eager.shape == captured.shape and torch.allclose(eager, captured, rtol=1e-4, atol=1e-5, equal_nan=True)


def _eager(module: nn.Module, inputs: Sequence[Tensor], output: str | int | None) -> Tensor:
    logits: Tensor = logits_of(module(*inputs), output)
    return logits


def _cut(inputs: Sequence[Tensor], axis: int, size: int) -> list[Tensor]:
    """Return inputs of so many samples or tokens, the first ones again and again."""
    chosen = torch.arange(size) % inputs[0].shape[axis]
    return [value.index_select(axis, chosen.to(value.device)) for value in inputs]


def _array(value: Tensor) -> ArrayInput:
    return ArrayInput(shape=tuple(value.shape[1:]), dtype=dtype_of(value, "example"))


def _tokens(
    module: nn.Module,
    exports: dict[bool, Exported],
    inputs: Sequence[Tensor],
    vocabulary: int | None,
    padding: int | None,
) -> TokenInput:
    rows, padded_by = _embedded(exports[True])
    vocabulary, padding = vocabulary or rows, padded_by if padding is None else padding
    if vocabulary is None:
        raise NotCaptured("no embedding takes the tokens as they are: say how many there are by vocabulary=...")
    shortest, longest = lengths(
        lambda length: _agrees(module, exports[False], _cut(inputs, _LENGTH, length)),
        [exported.axes[0][_LENGTH] for exported in exports.values()],
        inputs[0].shape[1],
    )
    mask: Any = dtype_of(inputs[1], "mask") if len(inputs) > 1 else None
    return TokenInput(vocabulary=vocabulary, padding=padding or 0, shortest=shortest, longest=longest, mask=mask)


def _embedded(exported: Exported) -> tuple[int | None, int | None]:
    """Return how many tokens the embeddings know that look at the ids as they are, and which one is their padding."""
    nodes = exported.graph_module.graph.nodes
    ids = next(node for node in nodes if node.op == "placeholder")
    tables = [node for node in ids.users if str(node.target) == "aten.embedding.default" and node.args[1] is ids]
    sizes = [node.args[0].meta["val"].shape[0] for node in tables]
    paddings = [node.args[2] for node in tables if len(node.args) > 2 and node.args[2] >= 0]
    return min(sizes, default=None), next(iter(paddings), None)


def _described(module: nn.Module, exports: dict[bool, Exported], takes: ArrayInput | TokenInput, classes: int) -> Graph:
    saved = saved_tensors(module)
    names = [tensor.name for tensor in saved]
    constants = Constants(names)
    try:
        training, evaluation = (program_of(exports[way], names, constants) for way in (True, False))
        return Graph(
            classes=classes,
            input=takes,
            tensors=(*saved, *constants.tensors),
            training=training,
            evaluation=None if _follows(evaluation, training) else evaluation,
        )
    except ValidationError as error:
        told = "; ".join(line["msg"].removeprefix("Value error, ") for line in error.errors()[:3])
        raise NotCaptured(f"{type(module).__name__} cannot be described: {told}") from error


def _follows(evaluation: Program, training: Program) -> bool:
    """Return whether evaluation is what is made of training without being told."""
    try:
        return same(training.evaluated(), evaluation)
    except ValidationError:  # what is written in training is looked at later
        return False
