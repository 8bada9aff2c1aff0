"""Chen et al. 2021, arXiv:2104.09044. B = batch, K, M, Q = channels, H, W = rows and columns."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from app.contract.objectives import Review
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import BatchNorm
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Joint, Setting

_PYRAMID = (4, 2, 1)


class Loss(nn.Module):
    """HCL of each teacher's layer and the student's fused with all deeper ones (ABF), averaged over the layers."""

    def __init__(self, term: Review, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        deepest = self.joints[-1]
        width = min(term.width, deepest.student.channels)
        self.fusions = nn.ModuleList(Fusion(joint, width, deepest=joint is deepest) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        carried_BMHW, values = None, []
        for joint, fusion in reversed([*zip(self.joints, self.fusions, strict=True)]):
            student_BKHW, teacher_BQHW = (_as_map(feature) for feature in batch.held.at(joint))
            fused_BQHW, carried_BMHW = fusion(student_BKHW, carried_BMHW, teacher_BQHW.shape[2:])
            values.append(joint.share * hierarchical(fused_BQHW, teacher_BQHW))
        return batch.mean(torch.stack(values).sum(0), self.term.part)


class Fusion(nn.Module):
    """ABF (fig. 3a): the student's map and what deeper ones carry, each weighed at each position."""

    def __init__(self, joint: Joint, width: int, *, deepest: bool) -> None:
        super().__init__()
        self.narrow = _normalised(nn.Conv2d(joint.student.channels, width, 1, bias=False))
        self.attention = None if deepest else nn.Conv2d(2 * width, 2, 1)
        self.widen = _normalised(nn.Conv2d(width, joint.teacher.channels, 3, padding=1, bias=False))

    def forward(self, student_BKHW: Tensor, deeper_BMHW: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return what is compared with the teacher's map, and what is carried on; both with the teacher's size."""
        carried_BMHW = self.narrow(student_BKHW)
        if self.attention is not None:
            assert deeper_BMHW is not None
            deeper_BMHW = interpolate(deeper_BMHW, carried_BMHW.shape[2:], mode="nearest")
            weight_B2HW = self.attention(torch.cat([carried_BMHW, deeper_BMHW], 1)).sigmoid()
            carried_BMHW = carried_BMHW * weight_B2HW[:, :1] + deeper_BMHW * weight_B2HW[:, 1:]
        carried_BMHW = interpolate(carried_BMHW, size, mode="nearest")
        return self.widen(carried_BMHW), carried_BMHW


def hierarchical(student_BQHW: Tensor, teacher_BQHW: Tensor) -> Tensor:
    """Return HCL (B,): mean squared differences of the maps and of their means over 4 x 4, 2 x 2 and 1 x 1 regions."""
    sizes = [size for size in _PYRAMID if size < min(student_BQHW.shape[2:])]
    levels = [(student_BQHW, teacher_BQHW)]
    levels += [(adaptive_avg_pool2d(student_BQHW, size), adaptive_avg_pool2d(teacher_BQHW, size)) for size in sizes]
    weights = [0.5**level for level in range(len(levels))]
    values = [
        weight * ((student - teacher) ** 2).flatten(1).mean(1)
        for weight, (student, teacher) in zip(weights, levels, strict=True)
    ]
    return torch.stack(values).sum(0) / sum(weights)


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    nn.init.kaiming_uniform_(convolution.weight, a=1)  # the published code's
    return nn.Sequential(convolution, BatchNorm(convolution.out_channels))


def _as_map(feature: Feature) -> Tensor:
    return feature.value if feature.layout == "map" else feature.value[:, :, None, None]
