"""Stacked LSTM with a linear head on the last step. B = batch, S = steps, F = features, H = hidden, C = classes."""

from torch import Tensor, nn

from app.contract.architectures import Lstm


class Network(nn.Module):
    """Inputs (B, S, F) to logits (B, C)."""

    def __init__(self, family: Lstm) -> None:
        super().__init__()
        # torch warns of dropout where no layer follows; the contract says there is none after the last.
        dropout = family.dropout if family.layers > 1 else 0.0
        self.lstm = nn.LSTM(family.inputs, family.hidden, family.layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(family.hidden, family.classes)

    def forward(self, inputs_BSF: Tensor) -> Tensor:
        hidden_BSH, _ = self.lstm(inputs_BSF)
        logits_BC: Tensor = self.head(hidden_BSH[:, -1])
        return logits_BC
