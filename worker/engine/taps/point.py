"""Where a tap's value is caught: at a module, as it goes in or comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


@dataclass(frozen=True, slots=True)
class Point:
    """A module's answer, or what it is given."""

    path: str
    side: Literal["input", "output"] = "output"
    channels_last: bool = False
    """Whether maps lie there as (B, H, W, K)."""
    state: int | None = None
    """The number of a hidden state, of networks that tell them by themselves."""

    def listen(self, network: nn.Module, hear: Callable[[Any], None]) -> RemovableHandle:
        """Have `hear` called with what passes by the module, in each forward pass until the handle is removed."""
        module = network.get_submodule(self.path)
        if self.side == "input":
            return module.register_forward_pre_hook(lambda _, args: hear(self.value(args, None)))
        return module.register_forward_hook(lambda _, args, answer: hear(self.value(args, answer)))

    def value(self, args: tuple[Any, ...], answer: Any) -> Any:
        """Return the tensor among what a module was given or answered with; None where there is none."""
        found = _first(args if self.side == "input" else answer)
        return found.permute(0, 3, 1, 2) if self.channels_last and found is not None and found.dim() == 4 else found


def _first(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list):
        return _first(value[0]) if value else None
    return _first(tuple(value.values())) if isinstance(value, dict) else None


def head_of(network: nn.Module, classes: int) -> str | None:
    """Return the path of the last linear layer, if it makes the logits."""
    found = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    last = network.get_submodule(found[-1]) if found else None
    return found[-1] if last is not None and last.out_features == classes else None


def numbered(kind: str, paths: list[str], side: Literal["input", "output"] = "output") -> dict[str, Point]:
    """Return `kind:0`, `kind:1`, ... at these modules."""
    return {f"{kind}:{number}": Point(path, side) for number, path in enumerate(paths)}
