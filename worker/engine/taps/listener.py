"""A network that also tells what it holds at some taps. B = batch, L = tokens, C = classes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from app.contract.architectures import Family
from app.contract.taps import named
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.networks.modes import evaluating
from worker.engine.taps.feature import Feature, layout_of
from worker.engine.taps.heads import Heads, HeadsListener
from worker.engine.taps.point import Point
from worker.engine.taps.points import points_of

Features = dict[str, Feature]
_HEADS = ("attention", "qkv")


class Heard:
    """A value as it passed by."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._version = _version(value)

    @property
    def overwritten(self) -> bool:
        """Whether an operator wrote into it since, such as a ReLU in place."""
        return _version(self.value) != self._version


def _version(value: Any) -> int:
    return value._version if isinstance(value, Tensor) else 0  # noqa: SLF001 - torch has no other name for it


class Silent(Exception):
    """A tap at which nothing could be heard; the text says why."""


class Listener:
    """Runs a network and returns its answer with what it held at the taps of these names."""

    def __init__(self, architecture: Family, network: nn.Module, names: Iterable[str] = ()) -> None:
        """Raises Unknown where a name is not that of a tap; whether something is there only a pass can tell."""
        self.network, self.names = network, tuple(dict.fromkeys(names))
        self._points = _points(architecture, network, self.names)
        self._copied: set[str] = set()
        """Taps whose values the network itself overwrites later on."""
        self._numbers = {name: int(name.partition(":")[2]) for name in self.names if name.partition(":")[0] in _HEADS}

    def rehearse(self, inputs: Inputs) -> None:
        """Find out, in evaluation mode, which values have to be copied before they are overwritten."""
        if not self.names:
            return
        with evaluating(self.network):
            self(inputs)

    def __call__(self, inputs: Inputs) -> tuple[Tensor, Features]:
        """Return logits (B, C) and features by name. Raises Silent where a tap holds nothing to learn from.

        A network in training mode must have been rehearsed.
        """
        if not self.names:
            return self.network(inputs), {}
        logits_BC, caught = self._listen(inputs)
        if lost := {name for name, value in caught.items() if isinstance(value, Heard) and value.overwritten}:
            assert not self.network.training
            self._copied |= lost
            logits_BC, caught = self._listen(inputs)
        return logits_BC, {name: _feature(name, caught, inputs) for name in self.names}

    def heard(self, inputs: Inputs) -> Features:
        """Return the features of the taps that hold something to learn from."""
        _, caught = self._listen(inputs)
        found = {}
        for name in self.names:
            with suppress(Silent):
                found[name] = _feature(name, caught, inputs)
        return found

    def _listen(self, inputs: Inputs) -> tuple[Tensor, dict[str, Any]]:
        caught: dict[str, Any] = {}
        heads = HeadsListener(self._numbers.values()) if self._numbers else None
        with ExitStack() as listening:
            listening.enter_context(_hooks(self.network, self._points, self._copied, caught))
            if heads:
                listening.enter_context(heads)
            logits_BC: Tensor = self.network(inputs)
        if heads:
            caught |= {name: heads.heard[number] for name, number in self._numbers.items() if number in heads.heard}
        return logits_BC, caught | {"logits": logits_BC}


def _feature(name: str, caught: Mapping[str, Any], inputs: Inputs) -> Feature:
    value: Any = caught.get(name)
    value = value.value if isinstance(value, Heard) else value
    mask_BL = inputs.mask_BL if isinstance(inputs, Tokens) and inputs.padded else None
    if isinstance(value, Heads):
        if reason := value.unusable(len(inputs), qkv=name.startswith("qkv")):
            raise Silent(f"'{name}' cannot be used: {reason}")
        return (value.qkv(mask_BL) if name.startswith("qkv") else value.attention(mask_BL)).float()
    if name not in caught:
        raise Silent(f"nothing passes by '{name}': the network does not call it")
    layout = layout_of(value)
    if layout is None or len(value) != len(inputs):
        raise Silent(f"'{name}' holds {_what(value)}, and taps are maps, tokens or vectors of numbers, one a sample")
    if name == "pooled" and layout != "vector":
        raise Silent("'pooled' is not there: the head is given more than one vector a sample")
    masked = layout == "tokens" and mask_BL is not None and value.shape[1] == mask_BL.shape[1]
    return Feature(value.float(), layout, mask_BL if masked else None)


def _points(architecture: Family, network: nn.Module, names: Sequence[str]) -> dict[str, Point]:
    short = points_of(architecture, network)
    modules = [path for path, _ in network.named_modules() if path]
    found = {}
    for name in names:
        if name == "logits" or name.partition(":")[0] in _HEADS:
            continue
        known = named(name, [*short, *modules, "logits"])
        found[name] = short.get(known) or Point(known)
    return found


@contextmanager
def _hooks(
    network: nn.Module, points: Mapping[str, Point], copied: Collection[str], caught: dict[str, Any]
) -> Iterator[None]:
    def hear(name: str, value: Any) -> None:
        caught[name] = Heard(value.clone() if name in copied else value)

    handles: list[RemovableHandle] = []
    try:
        for name, point in points.items():
            handles.append(listen(network, point, partial(hear, name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def listen(network: nn.Module, point: Point, hear: Callable[[Any], None]) -> RemovableHandle:
    """Have `hear` called with what passes by a point, in each forward pass until the handle is removed."""
    if own := getattr(network, "listen", None):  # such as a captured network, which calls operators and no modules
        handle: RemovableHandle = own(point, hear)
        return handle
    return point.listen(network, hear)


def _what(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}".replace("torch.", "")
    return "nothing" if value is None else type(value).__name__
