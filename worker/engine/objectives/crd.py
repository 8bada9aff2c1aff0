"""Contrastive representation distillation: Tian et al. 2020, arXiv:1910.10699.

B = batch, M = negatives, D = dimensions, R = training samples, S = sides (student, teacher).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from app.contract.objectives import Crd
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Joint, Setting
from worker.engine.terms.negatives import Negatives
from worker.engine.terms.objective import Gather
from worker.engine.terms.pieces import in_pieces

_DIRECTIONS, _REMEMBERED = 256, 4096
"""How many products the constant is the mean of."""


class Loss(nn.Module):
    """-mean_B [log h(positive) + Σ_M log(1 - h(negative))] from both sides; h(u, v) = e^(u·v/τ) / (e^(u·v/τ) + M·z).

    z, the mean of e^(u·v/τ) at the start (Z/N in the published code, which takes it from its first batch), is that of
    random directions. That code's ε = 1e-7 is left out: the logarithm of a sigmoid does not need it.
    """

    def __init__(self, term: Crd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.negatives = Negatives(setting.rows_N, setting.labels_N)
        self.contrasts = nn.ModuleList(_Contrast(term, joint, self.negatives.rows) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        places_B = self.negatives.places(batch.held.rows_B)

        def contrast(at: int, student: Feature, teacher: Feature) -> Tensor:
            one = self.contrasts[at]
            assert isinstance(one, _Contrast)
            said_BSD = one.embedded(student.pooled(), teacher.pooled(), places_B)

            def values(piece: slice) -> Tensor:
                own_P = places_B[piece]
                drawn_PM = self.negatives.draw(own_P, self.term.negatives, batch.position, at)
                return one.value(said_BSD[piece], torch.cat([own_P[:, None], drawn_PM], 1))

            return in_pieces(values, len(places_B), one.numbers(self.term.negatives))

        return batch.held.mean(self.joints, contrast, self.term.part)


class _Contrast(nn.Module):
    """One pair of taps: two embeddings, and what is remembered of both for each training sample."""

    memory_SRD: Tensor
    log_z_S: Tensor

    def __init__(self, term: Crd, joint: Joint, rows: int) -> None:
        super().__init__()
        self._term = term
        self.embeddings = nn.ModuleList(
            nn.Linear(tap.channels, term.dimensions) for tap in (joint.student, joint.teacher)
        )
        bound = 1 / math.sqrt(term.dimensions / 3)
        self.register_buffer("memory_SRD", torch.empty(2, rows, term.dimensions).uniform_(-bound, bound))
        directions_UD = normalize(torch.randn(_DIRECTIONS, term.dimensions), dim=1)
        products = directions_UD @ self.memory_SRD[:, :_REMEMBERED].transpose(1, 2) / term.temperature
        counted = products.flatten(1)
        self.register_buffer("log_z_S", counted.logsumexp(1) - math.log(counted.shape[1]))
        self._said: list[tuple[Tensor, Tensor]] = []

    def embedded(self, student_BK: Tensor, teacher_BK: Tensor, places_B: Tensor) -> Tensor:
        """Return both embeddings (B, S, D) of a batch, to be remembered after the step."""
        raw = [embed(value) for embed, value in zip(self.embeddings, (student_BK, teacher_BK), strict=True)]
        said_BSD = normalize(torch.stack(raw, 1), dim=2)
        if self.training:
            self._said.append((places_B, said_BSD.detach()))
        return said_BSD

    def stepped(self, gather: Gather) -> None:
        """Move the memory towards what was said in this step; before that, gradients still want it as it was."""
        kept, (_, _, dimensions) = self._term.momentum, self.memory_SRD.shape
        nothing = self.memory_SRD.new_empty(0, dtype=torch.int64), self.memory_SRD.new_empty(0, 2, dimensions)
        places, said = zip(nothing, *self._said, strict=True)
        places_B, said_BSD = gather(torch.cat(places)), gather(torch.cat(said))
        moved_SBD = kept * self.memory_SRD[:, places_B] + (1 - kept) * said_BSD.transpose(0, 1)
        self.memory_SRD.index_copy_(1, places_B, normalize(moved_SBD, dim=2))
        self._said.clear()

    def value(self, said_BSD: Tensor, chosen_BC: Tensor) -> Tensor:
        """Return the loss (B,) of both sides; of the chosen places (B, 1 + M) the first one is the sample's own."""
        log_m = math.log(chosen_BC.shape[1] - 1)
        # Each side is held against what is remembered of the other.
        scores = [self._scores(said_BSD[:, side], self.memory_SRD[1 - side], chosen_BC) for side in (0, 1)]
        found = [score_BC - self.log_z_S[1 - side] - log_m for side, score_BC in enumerate(scores)]
        return sum(
            (-logsigmoid(odds_BC[:, 0]) - logsigmoid(-odds_BC[:, 1:]).sum(1) for odds_BC in found),
            start=torch.zeros_like(found[0][:, 0]),
        )

    def numbers(self, negatives: int) -> int:
        """Return how many numbers a sample takes on the way to its value."""
        rows, dimensions = self.memory_SRD.shape[1:]
        return 4 * negatives + 2 * (rows if self._whole(negatives) else negatives * dimensions)

    def _whole(self, negatives: int) -> bool:
        # As long as the set is small, all products at once cost less than gathering those that are wanted.
        return bool(self.memory_SRD.shape[1] <= 8 * negatives)

    def _scores(self, said_BD: Tensor, memory_RD: Tensor, chosen_BC: Tensor) -> Tensor:
        if self._whole(chosen_BC.shape[1] - 1):
            return (said_BD @ memory_RD.T).gather(1, chosen_BC) / self._term.temperature
        return torch.einsum("bd,bcd->bc", said_BD, memory_RD[chosen_BC]) / self._term.temperature
