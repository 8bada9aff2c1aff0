"""Residual networks for small images."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from app.contract.architectures.family import Family, Width
from app.contract.taps import Tap, map_tap, vector_tap

_SMALLEST = 8
"""Pixels: the last stage still sees 2 x 2."""
_KERNEL = 9
"""Weights of a 3 x 3 convolution, for each pair of channels."""


class _Block(NamedTuple):
    """Two 3 x 3 convolutions; the first takes every `stride`-th pixel."""

    inputs: int
    width: int
    stride: int

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a 1 x 1 convolution (He et al. 2016, option B) and not the identity."""
        return self.stride != 1 or self.inputs != self.width

    @property
    def weights(self) -> int:
        """Weights of the convolutions, each of which is applied once to every output pixel."""
        shortcut = self.inputs * self.width if self.projects else 0
        return _KERNEL * self.width * (self.inputs + self.width) + shortcut


class Resnet(Family):
    """The CIFAR ResNets (He et al. 2016), as benchmarks of distillation have them since CRD (Tian et al. 2020).

    A 3 x 3 stem without pooling, three stages of (depth - 2) / 6 basic blocks, convolutions as shortcuts where shapes
    change (option B), activation after the addition, global average pooling, a linear head. resnet20 is depth=20 with
    the default widths; resnet8x4 and resnet32x4 are depth=8 and 32 with widths (32, 64, 128, 256). Parameter names are
    those of the CRD code. Input: (channels, height, width).
    """

    title: ClassVar[str] = "ResNet for small images"
    sample_axes: ClassVar[str] = "channels, height, width"
    channels_last: ClassVar[bool] = True

    kind: Literal["resnet"] = "resnet"
    depth: int = Field(ge=8, le=1202)
    """Layers with weights: 6n + 2, so 8, 14, 20, 32, 44, 56, 110 ..."""
    widths: tuple[Width, Width, Width, Width] = (16, 16, 32, 64)
    """Channels of the stem and of the three stages."""
    channels: Annotated[int, Field(ge=1, le=1024)] = 3
    """Channels of the image."""

    @field_validator("depth")
    @classmethod
    def _whole_stages(cls, depth: int) -> int:
        if (depth - 2) % 6:
            below = depth - (depth - 2) % 6
            raise ValueError(f"a depth is 6n + 2, so that three stages have n blocks each: take {below} or {below + 6}")
        return depth

    @property
    def blocks(self) -> int:
        """Blocks of each stage."""
        return (self.depth - 2) // 6

    def refuses_sample(self, shape: tuple[int, ...]) -> str | None:
        if len(shape) == 3 and shape[0] == self.channels and min(shape[1:]) >= _SMALLEST:
            return None
        wanted = f"({self.channels}, height, width) with at least {_SMALLEST} x {_SMALLEST} pixels"
        return f"a resnet with channels={self.channels} takes samples of shape {wanted}, not {shape}"

    def flops(self, shape: tuple[int, ...]) -> int:
        height, width = shape[1:]
        products = height * width * self._stem()
        for block in self._layout():
            height, width = ceil(height / block.stride), ceil(width / block.stride)
            products += height * width * block.weights
        return 2 * (products + self.widths[-1] * self.classes)

    def size(self) -> int:
        # Each batch norm has a scale and a shift a channel.
        norms = self.widths[0] + sum((2 + block.projects) * block.width for block in self._layout())
        convolutions = self._stem() + sum(block.weights for block in self._layout())
        return convolutions + 2 * norms + (self.widths[-1] + 1) * self.classes

    def typical_sample(self) -> tuple[int, ...]:
        return (self.channels, 32, 32)

    def short_taps(self, shape: tuple[int, ...]) -> list[Tap]:
        sizes = [shape[1:]]
        for _ in range(2):
            sizes.append(tuple(ceil(pixels / 2) for pixels in sizes[-1]))
        maps = [(width, *size) for width, size in zip(self.widths[1:], sizes, strict=True)]
        stages = [map_tap(f"stage:{number}", shape) for number, shape in enumerate(maps)]
        before = [map_tap(f"preact:{number}", shape) for number, shape in enumerate(maps)]
        return [*stages, *before, vector_tap("pooled", self.widths[-1]), vector_tap("logits", self.classes)]

    def _stem(self) -> int:
        return _KERNEL * self.channels * self.widths[0]

    def _layout(self) -> Iterator[_Block]:
        for stage, (inputs, width) in enumerate(pairwise(self.widths)):
            yield _Block(inputs, width, 2 if stage else 1)
            yield from [_Block(width, width, 1)] * (self.blocks - 1)
