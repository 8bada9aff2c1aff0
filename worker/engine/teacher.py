"""The teacher: its own object, never trained. B = batch, C = classes."""

import torch
from torch import Tensor, nn

from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure, Refused


class Teacher:
    """Frozen, in evaluation mode, and out of autograd's sight."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits (B, C) of inputs (B, ...). Raises EngineFailure where a black box gives none."""
        try:
            with torch.inference_mode():
                logits_BC: Tensor = self.network(inputs)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher does not answer. {refusal}") from refusal
        return logits_BC
