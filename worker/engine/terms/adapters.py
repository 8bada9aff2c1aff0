"""What brings a student's features to the shape of its teacher's: trained with the student, and never exported.

B = batch, K = channels, H, W = rows and columns.
"""

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from app.contract.objectives.adapters import AdapterKind
from app.contract.taps import Tap
from worker.engine.taps.feature import Feature
from worker.engine.terms.joint import Joint


class Adapter(nn.Module):
    """The student's feature with the teacher's layout, positions and channels."""

    def __init__(self, joint: Joint, kind: AdapterKind = "auto") -> None:
        super().__init__()
        self._target = joint.teacher
        given, wanted = joint.student.channels, joint.teacher.channels
        if kind == "auto":
            kind = "none" if given == wanted else "linear"
        self.layers = _layers(kind, given, wanted, maps=joint.teacher.layout == "map")

    def forward(self, student: Feature) -> Feature:
        if self._target.layout == "vector":
            return Feature(self.layers(student.pooled()), "vector")
        if self._target.layout == "map":
            return Feature(_resized(self.layers(student.value), self._target), "map")
        return Feature(self.layers(student.value), student.layout, student.mask)


def _layers(kind: AdapterKind, given: int, wanted: int, *, maps: bool) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    if kind == "linear":
        return _linear(given, wanted, maps=maps)
    if kind == "mlp":
        return nn.Sequential(_linear(given, wanted, maps=maps), nn.ReLU(), _linear(wanted, wanted, maps=maps))
    connector = _linear(given, wanted, maps=maps, bias=False), BatchNorm(wanted)
    return nn.Sequential(*connector, nn.ReLU()) if kind == "normalized" else nn.Sequential(*connector)


def _linear(given: int, wanted: int, *, maps: bool, bias: bool = True) -> nn.Module:
    return nn.Conv2d(given, wanted, 1, bias=bias) if maps else nn.Linear(given, wanted, bias=bias)


class BatchNorm(_BatchNorm):
    """Batch norm of maps (B, K, H, W) and vectors (B, K), also of a batch that has one value of each channel.

    Such a batch has no variance: it is normalised by what others had.
    """

    def forward(self, value: Tensor) -> Tensor:
        if self.training and value.numel() == self.num_features:
            return batch_norm(value, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(value)

    def _check_input_dim(self, value: Tensor) -> None:
        assert value.dim() in {2, 4}


def _resized(map_BKHW: Tensor, target: Tap) -> Tensor:
    rows, columns = target.shape[1:]
    assert rows is not None
    assert columns is not None
    return at_size(map_BKHW, (rows, columns))


def at_size(map_BKHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a map with so many rows and columns: averaged where there are fewer, interpolated where there are more."""
    if map_BKHW.shape[2:] == size:
        return map_BKHW
    if map_BKHW.shape[2] >= size[0] and map_BKHW.shape[3] >= size[1]:
        return adaptive_avg_pool2d(map_BKHW, size)
    return interpolate(map_BKHW, size, mode="bilinear", align_corners=False)


def at_one_size(first_BKHW: Tensor, second_BKHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return two maps with equally many rows and columns: those of the smaller one."""
    size = (
        min(first_BKHW.shape[2], second_BKHW.shape[2]),
        min(first_BKHW.shape[3], second_BKHW.shape[3]),
    )
    return at_size(first_BKHW, size), at_size(second_BKHW, size)
