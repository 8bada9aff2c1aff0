"""Convolutions over tokens: Kim 2014, arXiv:1408.5882. B = batch, L = tokens, E = embedding, K = filters.

C = classes.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad, relu

from app.contract.architectures import Textcnn
from worker.engine.data.samples import Tokens
from worker.engine.taps.point import Point


class Network(nn.Module):
    """Tokens to logits (B, C)."""

    def __init__(self, family: Textcnn) -> None:
        super().__init__()
        self.embedding = nn.Embedding(family.vocabulary, family.embedding)
        self.convolutions = nn.ModuleList(nn.Conv1d(family.embedding, family.filters, width) for width in family.widths)
        self.head = nn.Linear(family.filters * len(family.widths), family.classes)
        self.widest = max(family.widths)
        self.dropout = family.dropout

    def forward(self, tokens: Tokens) -> Tensor:
        vectors_BEL = (self.embedding(tokens.ids_BL) * tokens.mask_BL[..., None]).transpose(1, 2)
        vectors_BEL = pad(vectors_BEL, (0, max(self.widest - vectors_BEL.shape[2], 0)))
        length_B = tokens.mask_BL.sum(1)
        pooled = [self._strongest(convolution, vectors_BEL, length_B) for convolution in self.convolutions]
        logits_BC: Tensor = self.head(dropout(torch.cat(pooled, dim=1), self.dropout, self.training))
        return logits_BC

    @staticmethod
    def _strongest(convolution: nn.Module, vectors_BEL: Tensor, length_B: Tensor) -> Tensor:
        """Return the maximum (B, K) over a text's own windows: one at least, and none that reaches beyond its end."""
        maps_BKL = relu(convolution(vectors_BEL))
        begin_L = torch.arange(maps_BKL.shape[2], device=maps_BKL.device)
        last_B = length_B - (vectors_BEL.shape[2] - maps_BKL.shape[2] + 1)
        foreign_BL = begin_L > last_B.clamp(min=0)[:, None]
        # What ReLU leaves is never below 0, so 0 takes part in no maximum.
        return maps_BKL.masked_fill(foreign_BL[:, None], 0).amax(2)


def points(_network: nn.Module) -> dict[str, Point]:
    """Return the embedded tokens."""
    return {"hidden:0": Point("embedding")}
