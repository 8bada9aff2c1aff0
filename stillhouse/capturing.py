"""`stillhouse.capture`: any torch.nn.Module as a network that the service can train and that can teach."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.contract.architectures import Graph
from stillhouse.errors import NotCaptured
from stillhouse.sources import HasStateDict, Path_, weights_file

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Captured:
    """A module as an architecture and weights; hand it to `client.models.create`."""

    architecture: Graph
    weights: Mapping[str, Any]
    """The module's state dict."""

    @property
    def description(self) -> dict[str, Any]:
        """The architecture as JSON data."""
        return self.architecture.model_dump(mode="json", exclude_none=True)

    def save(self, folder: Path_) -> None:
        """Write `architecture.json` and `weights.safetensors`, as `stillhouse upload-model` takes them."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        text = self.architecture.model_dump_json(exclude_none=True)
        (target / "architecture.json").write_text(text, encoding="utf-8")
        with weights_file(self.weights) as path:
            (target / "weights.safetensors").write_bytes(path.read_bytes())


def capture(
    module: "nn.Module",
    example: "Tensor | tuple[Tensor, ...]",
    *,
    output: str | int | None = None,
    vocabulary: int | None = None,
    padding: int | None = None,
) -> Captured:
    """Write a module down as calls of operators under its own parameter names; nothing of its code leaves this machine.

    `example`: a batch as the module's forward takes it: floating-point numbers (batch, ...); or int64 tokens (batch,
    length), alone or as (tokens, mask), the mask 1 at tokens and 0 at padding; a few tokens are enough, and quicker.
    `output` names the logits (batch, classes) where the module answers with several things: a key, an attribute or a
    place. `vocabulary`: how many tokens there are, where no embedding says it. `padding`: the token that fills up
    shorter texts; by default the embedding's, or 0. Needs torch. Raises NotCaptured, which names operators that
    captured networks cannot call.
    """
    try:
        from stillhouse.captures.capture import graph_of  # noqa: PLC0415 - needs torch, which the client does not
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise NotCaptured("a network is captured by torch, which is not installed here") from error
    if not is_module(module):
        raise NotCaptured(f"only a torch.nn.Module can be captured, not a {type(module).__name__}")
    inputs = example if isinstance(example, tuple) else (example,)
    architecture = graph_of(module, inputs, output=output, vocabulary=vocabulary, padding=padding)
    return Captured(architecture, module.state_dict())


def is_module(value: object) -> bool:
    """Return whether this is a torch.nn.Module rather than anything else with a state dict."""
    return isinstance(value, HasStateDict) and hasattr(value, "forward")
