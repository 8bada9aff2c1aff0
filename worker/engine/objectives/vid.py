"""Ahn et al. 2019, arXiv:1904.05835. B = batch, K = channels."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from app.contract.objectives import Vid
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting

_LEAST = 1e-5
"""The published code's ε: no variance falls below it."""


class Loss(nn.Module):
    """Eq. 5 without its constant, averaged: ½ [(μ(h_s) - h_t)² / σ² + ln σ²], σ² = softplus(α) + ε of each channel."""

    def __init__(self, term: Vid, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.means = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)
        start = _before_softplus(term.initial_variance - _LEAST)
        self.variances = nn.ParameterList(torch.full((joint.teacher.channels,), start) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._improbability, self.term.part)

    def _improbability(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        variance_K = softplus(self.variances[place]) + _LEAST
        variance = variance_K[:, None, None] if teacher.layout == "map" else variance_K
        squared = (self.means[place](student).value - teacher.value) ** 2
        return teacher.mean_of(squared / variance + variance.log()) / 2


def _before_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
