"""ONNX files: read whole and looked through before anything of them runs.

One file without external data, standard operators only, nothing drawn at random. Control flow and functions of the
model's own are as good as the operators inside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.engine.failures import Refused
from worker.engine.files.file_kinds import recognise
from worker.engine.files.tensor_file import MAX_TENSORS
from worker.engine.networks.fit import listed

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

MAX_BYTES = 2 * 2**30 - 1
"""No longer message can be read: the limit is that of Protocol Buffers."""
_MAX_NODES = 1_000_000
_STANDARD = {"", "ai.onnx", "ai.onnx.ml"}
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_SAVE_IN_ONE = "export with external_data=False, or save again with onnx.save(onnx.load(path), path)"


@dataclass(frozen=True)
class OnnxFile:
    """A model that was looked through."""

    content: bytes
    """The model, written again from what was looked through, so that nothing else is run."""
    opset: int
    initializers: list[tuple[str, tuple[int, ...], str]]
    """Name, shape and data type of each stored tensor."""
    parameters: int
    """Values of the stored tensors."""
    bytes: int
    """Their size, at the precision of the file."""
    producers: dict[str, str]
    """The operator that makes each value of the graph."""


def read(path: Path) -> OnnxFile:
    """Return the model. Raises Refused where onnx is not installed, or the file is not such a model."""
    model = _parsed(path)
    model.ClearField("training_info")  # graphs that nothing here looks at or runs
    try:
        _check(model)
        return _looked_through(model)
    except (KeyError, TypeError, ValueError) as error:  # names that are not text, data types that do not exist
        raise Refused(f"The file is not a valid ONNX model ({type(error).__name__}: {error}).") from error


def _looked_through(model: ModelProto) -> OnnxFile:
    tensors = [tensor for scope in _scopes(model) for tensor in getattr(scope, "initializer", ())]
    if len(tensors) > MAX_TENSORS:
        raise Refused(f"The model holds {len(tensors):,} tensors; at most {MAX_TENSORS:,} are read.")
    stored = [(_text(tensor.name), tuple(tensor.dims), _kind(tensor)) for tensor in tensors]
    for port in (*model.graph.input, *model.graph.output):
        for name in (port.name, *(axis.dim_param for axis in port.type.tensor_type.shape.dim)):
            _text(name)
    return OnnxFile(
        content=model.SerializeToString(),
        opset=max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0),
        initializers=[(name, shape, kind.name) for name, shape, kind in stored],
        parameters=sum(prod(shape) for _, shape, _ in stored),
        bytes=sum(prod(shape) * kind.itemsize for _, shape, kind in stored),
        producers={name: node.op_type for node in model.graph.node for name in node.output},
    )


def _parsed(path: Path) -> ModelProto:
    kind = recognise(path)
    if kind.name not in {"other", "onnx"}:
        raise Refused(f"The file is not an ONNX model: it looks like {kind.words}.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise Refused(f"The file has {size:,} bytes; an ONNX model in one file has at most {MAX_BYTES:,}.")
    try:
        import onnx  # noqa: PLC0415 - an extra that most jobs do without
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with onnx
    except ModuleNotFoundError as error:
        raise Refused("This worker cannot read ONNX models: install stillhouse[onnx].") from error
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise Refused(f"The file is not an ONNX model, or is cut short ({error}).") from error


def _check(model: ModelProto) -> None:
    """Raise Refused where the model reaches out of its file, names foreign operators, or is malformed."""
    import onnx  # noqa: PLC0415 - as above

    # First: the checker itself would look for external data on the disk.
    if outside := [tensor.name or "(no name)" for tensor in _tensors(model) if _is_outside(tensor)]:
        raise Refused(f"Tensors lie in other files: {listed(outside)}. External data is not read: {_SAVE_IN_ONE}.")
    _check_operators(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        lines = str(error).strip().splitlines() or ["it gives no reason"]
        raise Refused(f"The file is not a valid ONNX model: {lines[0].rstrip('.')}.") from error


def _check_operators(model: ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    named = {(node.domain, node.op_type) for scope in _scopes(model) for node in scope.node}
    foreign = [f"{domain}.{name}" for domain, name in sorted(named - own) if domain not in _STANDARD]
    if foreign:
        raise Refused(f"Operators outside the ONNX standard are not run: {listed(foreign)}.")
    if drawn := sorted(name for _, name in named if name in _RANDOM):
        raise Refused(f"The model draws random numbers ({listed(drawn)}): a teacher's answers must not change.")
    _check_functions(model)


def _check_functions(model: ModelProto) -> None:
    """Raise Refused where functions call each other in a circle, or so often that a few come to billions of nodes."""
    calls = {
        (function.domain, function.name): Counter((node.domain, node.op_type) for node in _nodes_below(function))
        for function in model.functions
    }
    try:
        order = list(
            TopologicalSorter({own: called.keys() & calls.keys() for own, called in calls.items()}).static_order()
        )
    except CycleError as error:
        raise Refused("The model's functions call each other in a circle.") from error
    nodes: dict[tuple[str, str], int] = {}
    for own in order:
        nodes[own] = sum(count * nodes.get(called, 1) for called, count in calls[own].items())
    total = sum(nodes.get((node.domain, node.op_type), 1) for node in _nodes_below(model.graph))
    if total > _MAX_NODES:
        raise Refused(f"The model's functions come to more than {_MAX_NODES:,} nodes where they are called.")


def _scopes(model: ModelProto) -> Iterator[Any]:
    """Yield the graph, its functions, and every graph inside them."""
    for scope in (model.graph, *model.functions):
        yield from _with_inner(scope)


def _with_inner(scope: Any) -> Iterator[Any]:
    waiting = [scope]
    while waiting:
        current = waiting.pop()
        yield current
        for attribute in _attributes(current):
            waiting.extend(attribute.graphs)
            if attribute.HasField("g"):
                waiting.append(attribute.g)


def _nodes_below(scope: Any) -> Iterator[Any]:
    return (node for inner in _with_inner(scope) for node in inner.node)


def _attributes(scope: Any) -> Iterator[Any]:
    for node in scope.node:
        yield from node.attribute
    yield from getattr(scope, "attribute_proto", ())  # a function's defaults


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    for scope in _scopes(model):
        yield from getattr(scope, "initializer", ())
        sparse = list(getattr(scope, "sparse_initializer", ()))
        for attribute in _attributes(scope):
            yield from (attribute.t, *attribute.tensors)
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
        for one in sparse:
            yield from (one.values, one.indices)


def _is_outside(tensor: TensorProto) -> bool:
    return bool(tensor.external_data) or tensor.data_location == tensor.EXTERNAL


def _text(name: str | bytes) -> str:
    # Protocol Buffers hand over as bytes what is not UTF-8.
    if isinstance(name, bytes):
        raise TypeError(f"the name {name!r} is not text")
    return name


def _kind(tensor: TensorProto) -> Any:
    from onnx.helper import tensor_dtype_to_np_dtype  # noqa: PLC0415 - as above

    return tensor_dtype_to_np_dtype(tensor.data_type)
