"""SimKD: Chen et al. 2022, arXiv:2203.14001, with a linear projector. B = batch, C = classes, D = channels."""

import torch
from torch import Tensor, nn

from app.contract.objectives import Simkd
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """mean_B mean_D (P·h_s + c - h_t)² (eq. 2)."""

    weight_CD: Tensor
    bias_C: Tensor

    def __init__(self, term: Simkd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        (joint,) = self.joints
        self.projector = nn.Linear(joint.student.channels, joint.teacher.channels)
        self._head = setting.classifiers.of_student()
        weight_CD, bias_C = setting.classifiers.of_teacher(joint.member)
        # The teacher's own, so not to be kept in checkpoints.
        self.register_buffer("weight_CD", weight_CD, persistent=False)
        self.register_buffer("bias_C", bias_C, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    @torch.no_grad()
    def settle(self, network: nn.Module) -> None:
        """Make the student's classifier of the projector and the teacher's."""
        head = network.get_submodule(self._head)
        assert isinstance(head, nn.Linear)
        head.weight.copy_(self.weight_CD @ self.projector.weight)
        head.bias.copy_(self.weight_CD @ self.projector.bias + self.bias_C)

    def _distance(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        return teacher.mean_of((self.projector(student.value) - teacher.value) ** 2)
