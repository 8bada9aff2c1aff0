"""Multi-layer perceptron. B = batch, F = features after flattening, C = classes."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from app.contract.architectures import Mlp
from worker.engine.taps.point import Point, numbered


class Network(nn.Module):
    """Inputs (B, ...) to logits (B, C)."""

    def __init__(self, family: Mlp) -> None:
        super().__init__()
        widths = [family.inputs, *family.hidden, family.classes]
        self.layers = nn.ModuleList(nn.Linear(width, following) for width, following in pairwise(widths))
        self.activation = getattr(functional, family.activation)
        self.dropout = family.dropout

    def forward(self, inputs: Tensor) -> Tensor:
        hidden_BF = inputs.flatten(1)
        for layer in self.layers[:-1]:
            hidden_BF = self.activation(layer(hidden_BF))
            if self.dropout:
                hidden_BF = functional.dropout(hidden_BF, self.dropout, self.training)
        logits_BC: Tensor = self.layers[-1](hidden_BF)
        return logits_BC


def points(network: nn.Module) -> dict[str, Point]:
    """Return what each layer takes: the flat sample, and then the activations (after dropout)."""
    layers = len(network.get_submodule("layers"))  # type: ignore[arg-type]  # a list of modules
    return numbered("hidden", [f"layers.{number}" for number in range(layers)], "input")
