"""Deep mutual learning: Zhang et al. 2018, arXiv:1706.00384. B = batch, C = classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Mutual
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.joint import Setting
from worker.engine.terms.label_entropy import label_entropy


class Loss(nn.Module):
    """mean_B mean_q KL(softmax(q) ‖ softmax(s)); the peers' own losses lend it only their gradients."""

    def __init__(self, term: Mutual, setting: Setting) -> None:
        super().__init__()
        self.term = term
        self.peers = nn.ModuleList(setting.peer() for _ in range(term.peers))

    def forward(self, batch: Batch) -> Tensor:
        said = [batch.student_BC, *map(batch.ask, self.peers)]
        known = [log_softmax(logits_BC, 1) for logits_BC in said]
        value = batch.mean(_from_others(known, 0), self.term.part)
        peers_B = torch.stack(
            [label_entropy(said[place], batch) + _from_others(known, place) for place in range(1, len(said))]
        ).sum(0)
        theirs = batch.mean(peers_B, self.term.part)
        return value + (theirs - theirs.detach())


def _from_others(known: list[Tensor], place: int) -> Tensor:
    """Return the mean KL (B,) of the others to one of them; nothing flows back into the others."""
    others = [one.detach() for number, one in enumerate(known) if number != place]
    return torch.stack([divergence(other_BC, known[place]) for other_BC in others]).mean(0)
