"""The teacher: its own object, never trained. B = batch, C = classes."""

import torch
from torch import Tensor, nn

from worker.engine.samples import Inputs


class Teacher:
    """Frozen, in evaluation mode, and out of autograd's sight."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)

    def logits(self, inputs: Inputs) -> Tensor:
        """Return the logits (B, C) of a batch."""
        with torch.inference_mode():
            logits_BC: Tensor = self.network(inputs)
            return logits_BC
