"""A captured network, under the names and paths of the module that it was. B = batch, L = tokens, C = classes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from app.contract.architectures import Graph
from app.contract.architectures.graph import ArrayInput, TokenInput
from app.contract.graphs.tensors import GraphTensor
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.failures import Refused
from worker.engine.graphs import landmarks
from worker.engine.graphs.program import Runnable
from worker.engine.graphs.values import first_value
from worker.engine.taps.ears import Ears, Removable
from worker.engine.taps.point import Point


class Network(nn.Module):
    """Inputs (B, ...) or tokens to logits (B, C). Raises Refused where a call or name does not fit."""

    def __init__(self, family: Graph) -> None:
        super().__init__()
        self._captured = family
        self._holders = _grown(self, family.tensors)
        names = list(self._holders)
        self._in_training = Runnable(family.training, names)
        self._in_evaluation = Runnable(family.in_evaluation, names)
        self._ears = {program: Ears() for program in (self._in_training, self._in_evaluation)}

    def forward(self, inputs: Inputs) -> Tensor:
        program = self._in_training if self.training else self._in_evaluation
        given, mask_BL = self._given(inputs)
        held = [getattr(owner, leaf) for owner, leaf in self._holders.values()]
        return program.run(given, mask_BL, held, self._ears[program])

    def listen(self, point: Point, hear: Callable[[Tensor], None]) -> Removable:
        """Have `hear` called with what passes by a captured module, until the handle is removed."""
        return Removable(
            [
                ears.add(place, hear)
                for program, ears in self._ears.items()
                if (place := program.place_of(point.path, point.side)) is not None
            ]
        )

    def _given(self, inputs: Inputs) -> tuple[Tensor, Tensor | None]:
        takes = self._captured.input
        if isinstance(takes, ArrayInput):
            assert isinstance(inputs, Tensor)
            return inputs.to(getattr(torch, takes.dtype)), None
        assert isinstance(inputs, Tokens)
        ids_BL = torch.where(inputs.mask_BL, inputs.ids_BL, takes.padding) if inputs.padded else inputs.ids_BL
        missing = max(takes.shortest - ids_BL.shape[1], 0)
        ids_BL = pad(ids_BL, (0, missing), value=takes.padding) if missing else ids_BL
        return ids_BL, _mask(inputs, takes, missing)


def points(network: nn.Module) -> dict[str, Point]:
    """Return the landmarks that its calls show: stages of maps, a stack of layers, what the head is given."""
    assert isinstance(network, Network)
    with torch.device("meta"):
        shadow = Network(network._captured)  # noqa: SLF001 - its own class
    return landmarks.of(shadow.eval(), network._captured)  # noqa: SLF001


def _mask(tokens: Tokens, takes: TokenInput, missing: int) -> Tensor | None:
    if takes.mask is None:
        return None
    mask_BL = pad(tokens.mask_BL, (0, missing), value=False) if missing else tokens.mask_BL
    return mask_BL.to(getattr(torch, takes.mask))


def _grown(root: nn.Module, tensors: tuple[GraphTensor, ...]) -> dict[str, tuple[nn.Module, str]]:
    """Register each tensor where its name says; return who holds it, and as what."""
    held: dict[str, tuple[nn.Module, str]] = {}
    values: dict[str, Tensor] = {}
    modules = {"": root}
    for tensor in tensors:
        path, _, leaf = tensor.name.rpartition(".")
        value = values[tensor.tied_to] if tensor.tied_to else _value(tensor)
        try:
            owner = _owner(modules, path)
            if isinstance(value, nn.Parameter):
                owner.register_parameter(leaf, value)
            else:
                owner.register_buffer(leaf, value, persistent=tensor.saved)
        except (KeyError, TypeError) as error:
            raise Refused(f"No tensor can be called '{tensor.name}': {error}.") from error
        values[tensor.name], held[tensor.name] = value, (owner, leaf)
    return held


def _value(tensor: GraphTensor) -> Tensor:
    value = first_value(tensor)
    return nn.Parameter(value, requires_grad=tensor.trained) if tensor.role == "parameter" else value


def _owner(modules: dict[str, nn.Module], path: str) -> nn.Module:
    if path not in modules:
        above, _, name = path.rpartition(".")
        owner = nn.Module()
        _owner(modules, above).add_module(name, owner)
        modules[path] = owner
    return modules[path]
