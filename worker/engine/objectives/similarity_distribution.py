"""SEED: Fang et al. 2021, arXiv:2101.04731, eqs. 1 to 5. B = batch, D = numbers of an embedding, Q = queue."""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import SimilarityDistribution
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.joint import Joint, Setting
from worker.engine.terms.objective import Gather
from worker.engine.terms.relations import directions


class Loss(nn.Module):
    """mean_B KL(softmax([t·t, t·queue] / T_t) ‖ softmax([s·t, s·queue] / T_s)) of unit embeddings."""

    def __init__(self, term: SimilarityDistribution, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint.of_vectors(), term.adapter) for joint in self.joints)
        self._queues = [Queue(term.size, joint) for joint in self.joints]
        self.queues = nn.ModuleList(self._queues)

    def forward(self, batch: Batch) -> Tensor:
        temperatures = [
            batch.position.of(number) for number in (self.term.teacher_temperature, self.term.student_temperature)
        ]

        def apart(place: int, student: Feature, teacher: Feature) -> Tensor:
            taught_BD = directions(teacher.pooled())
            learnt_BD = directions(self.adapters[place](_vector(student)).value)
            said = [
                log_softmax(self._queues[place](found_BD, taught_BD) / temperature, dim=1)
                for found_BD, temperature in zip((taught_BD, learnt_BD), temperatures, strict=True)
            ]
            if self.training:
                self._queues[place].put(taught_BD)
            return divergence(*said)

        return batch.held.mean(self.joints, apart, self.term.part)


class Queue(nn.Module):
    """The teacher's embeddings of earlier samples, at first random directions."""

    places_QD: Tensor
    oldest: Tensor

    def __init__(self, size: int, joint: Joint) -> None:
        super().__init__()
        self.register_buffer("places_QD", directions(torch.randn(size, joint.teacher.channels)))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))
        self._waiting: list[Tensor] = []
        """Of the step that is being made. None between two steps, so checkpoints do without."""

    def forward(self, found_BD: Tensor, taught_BD: Tensor) -> Tensor:
        """Return how similar they are to the teacher's of the same sample, and to all in the queue (B, 1 + Q)."""
        own_B1 = (found_BD * taught_BD).sum(1, keepdim=True)
        return torch.cat([own_B1, found_BD @ self.places_QD.T], dim=1)

    def put(self, taught_BD: Tensor) -> None:
        """Queue a micro-batch, once the step is made: all of its batch are to see the same queue."""
        self._waiting.append(taught_BD.detach())

    def stepped(self, gather: Gather) -> None:
        """Take in what waits."""
        size = len(self.places_QD)
        newest_BD = gather(torch.cat([self.places_QD[:0], *self._waiting]))
        self._waiting.clear()
        newest_BD = newest_BD[-size:]
        # A new tensor, since autograd still holds the old one; by index, so that nothing waits for the device.
        places_B = (self.oldest + torch.arange(len(newest_BD), device=newest_BD.device)) % size
        self.places_QD = self.places_QD.index_copy(0, places_B, newest_BD.to(self.places_QD.dtype))
        self.oldest = (self.oldest + len(newest_BD)) % size


def _vector(feature: Feature) -> Feature:
    return Feature(feature.pooled(), "vector")
