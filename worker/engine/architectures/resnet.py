"""ResNets for small images. B = batch, P = image channels, K = feature channels, H, W = pixels, C = classes.

Names and initialisation are those of the CRD code (github.com/HobbitLong/RepDistiller, models/resnet.py).
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from app.contract.architectures import Resnet
from worker.engine.taps.point import Point, numbered

_STAGES = ("layer1", "layer2", "layer3")


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, activation after the sum; halves H and W where stride is 2."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride) if stride != 1 or inputs != width else None
        self.sum = nn.Identity()
        """Where the maps before the last activation can be listened to."""

    def forward(self, inputs_BKHW: Tensor) -> Tensor:
        shortcut_BKHW = inputs_BKHW if self.downsample is None else self.downsample(inputs_BKHW)
        hidden_BKHW = functional.relu(self.bn1(self.conv1(inputs_BKHW)))
        return functional.relu(self.sum(self.bn2(self.conv2(hidden_BKHW)) + shortcut_BKHW))


class Network(nn.Module):
    """Images (B, P, H, W) to logits (B, C)."""

    def __init__(self, family: Resnet) -> None:
        super().__init__()
        stem = family.widths[0]
        self.conv1 = nn.Conv2d(family.channels, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        first, second, third = pairwise(family.widths)
        self.layer1 = _stage(*first, stride=1, blocks=family.blocks)
        self.layer2 = _stage(*second, stride=2, blocks=family.blocks)
        self.layer3 = _stage(*third, stride=2, blocks=family.blocks)
        self.fc = nn.Linear(family.widths[-1], family.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images_BPHW: Tensor) -> Tensor:
        features_BKHW = functional.relu(self.bn1(self.conv1(images_BPHW)))
        features_BKHW = self.layer3(self.layer2(self.layer1(features_BKHW)))
        logits_BC: Tensor = self.fc(features_BKHW.mean((2, 3)))
        return logits_BC


def points(network: nn.Module) -> dict[str, Point]:
    """Return the stages' maps, and those before a stage's last activation (`preact:i`)."""
    last = [f"{stage}.{len(network.get_submodule(stage)) - 1}.sum" for stage in _STAGES]  # type: ignore[arg-type]
    return numbered("stage", [*_STAGES]) | numbered("preact", last)


def _stage(inputs: int, width: int, *, stride: int, blocks: int) -> nn.Sequential:
    following = (Block(width, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(Block(inputs, width, stride), *following)


def _projection(inputs: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
