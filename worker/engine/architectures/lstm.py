"""Stacked LSTM with a linear head. B = batch, S = steps, F = features, H = hidden (of all directions), C = classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from app.contract.architectures import Lstm
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.taps.point import Point


class Network(nn.Module):
    """Inputs (B, S, F), or tokens, to logits (B, C)."""

    def __init__(self, family: Lstm) -> None:
        super().__init__()
        # torch warns of dropout where no layer follows; the contract says there is none after the last.
        between = family.dropout if family.layers > 1 else 0.0
        if family.vocabulary is not None:
            self.embedding = nn.Embedding(family.vocabulary, family.inputs)
        self.lstm = nn.LSTM(
            family.inputs,
            family.hidden,
            family.layers,
            batch_first=True,
            dropout=between,
            bidirectional=family.bidirectional,
        )
        self.head = nn.Linear(family.hidden * (2 if family.bidirectional else 1), family.classes)
        # Where steps and last states can be listened to, packed by nobody.
        self.steps, self.states = nn.Identity(), nn.Identity()
        self.pooling = family.pooling
        self.around = family.dropout if family.vocabulary is not None else 0.0

    def forward(self, inputs: Inputs) -> Tensor:
        steps_BSF = self._dropped(self.embedding(inputs.ids_BL)) if isinstance(inputs, Tokens) else inputs
        steps_BSF = self.steps(steps_BSF)
        tokens = inputs if isinstance(inputs, Tokens) and inputs.padded else None
        pooled_BH = self._pooled(self.states(self._read(steps_BSF, tokens)), tokens)
        logits_BC: Tensor = self.head(self._dropped(pooled_BH))
        return logits_BC

    def _dropped(self, value: Tensor) -> Tensor:
        return dropout(value, self.around, self.training) if self.around else value

    def _read(self, steps_BSF: Tensor, padded: Tokens | None) -> Tensor:
        """Return the hidden states (B, S, H); those of padding mean nothing."""
        hidden_BSH: Tensor
        # What comes after a text cannot reach its own states, unless it is read backwards.
        if padded is None or not self.lstm.bidirectional:
            hidden_BSH, _ = self.lstm(steps_BSF)
            return hidden_BSH
        packed = pack_padded_sequence(steps_BSF, padded.lengths_B, batch_first=True, enforce_sorted=False)
        hidden_BSH, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=steps_BSF.shape[1])
        return hidden_BSH

    def _pooled(self, hidden_BSH: Tensor, padded: Tokens | None) -> Tensor:
        if self.pooling == "last":
            return self._ends(hidden_BSH, padded)
        if self.pooling == "max":
            if padded is not None:
                hidden_BSH = hidden_BSH.masked_fill(~padded.mask_BL[..., None], -torch.inf)
            return hidden_BSH.amax(1)
        if padded is None:
            return hidden_BSH.mean(1)
        summed_BH = hidden_BSH.masked_fill(~padded.mask_BL[..., None], 0).sum(1)
        return summed_BH / padded.mask_BL.sum(1, keepdim=True)

    def _ends(self, hidden_BSH: Tensor, padded: Tokens | None) -> Tensor:
        """Return the state (B, H) at which each direction ends: forwards the last step's, backwards the first's."""
        if padded is None:
            last_BH = hidden_BSH[:, -1]
        else:
            last_B = padded.mask_BL.sum(1) - 1
            last_BH = hidden_BSH[torch.arange(last_B.shape[0], device=last_B.device), last_B]
        if not self.lstm.bidirectional:
            return last_BH
        width = self.lstm.hidden_size
        return torch.cat([last_BH[:, :width], hidden_BSH[:, 0, width:]], dim=1)


def points(_network: nn.Module) -> dict[str, Point]:
    """Return what the LSTM reads, and the states of its last layer."""
    return {"hidden:0": Point("steps"), "hidden:1": Point("states")}
