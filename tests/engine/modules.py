"""Modules as users write them, and their captures, each made once."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import stillhouse
from stillhouse import Captured
from worker.engine import build
from worker.engine.data.samples import Inputs, Tokens
from worker.engine.networks import torchvision_operators


class Convolutions(nn.Module):
    """A CNN with batch norm and dropout, the activation in place."""

    def __init__(self, width: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(width * 16, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images)).flatten(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(120, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True, dropout=0.2)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(ids))
        return self.head(states.mean(1))


class Encoder(nn.Module):
    """A transformer encoder that sees padding by itself, with positions that no state dict holds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(120, 8, padding_idx=0)
        self.register_buffer("positions", torch.randn(40, 8), persistent=False)
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embedding(ids) + self.positions[: ids.shape[1]]
        return self.head(self.encoder(hidden, src_key_padding_mask=ids == 0)[:, 0])


class Masked(nn.Module):
    """Reads a mask beside the tokens, ties its weights, and has a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 6)
        self.unembedding = nn.Linear(6, 30, bias=False)
        self.unembedding.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.rand(30))
        self.frozen = nn.Linear(30, 2).requires_grad_(requires_grad=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        pooled = (self.embedding(ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.frozen(functional.relu(self.unembedding(pooled)) * self.scale)


class Otherwise(nn.Module):
    """Does in evaluation what no switch of an operator explains."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.register_buffer("offset", torch.randn(3))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        hidden = functional.dropout(inputs, 0.5)  # also in evaluation: Gal & Ghahramani 2016
        logits = self.head(hidden) + self.offset
        if self.training:
            logits = logits * torch.empty(inputs.shape[0], 1).bernoulli_(0.7)
        return {"hidden": hidden, "logits": logits}


def resnet() -> nn.Module:
    torchvision_operators.make_importable()
    from torchvision.models import ResNet
    from torchvision.models.resnet import BasicBlock

    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes=3)


IDS = torch.randint(1, 30, (4, 2), generator=torch.Generator().manual_seed(0))
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "cnn": (Convolutions, torch.randn(4, 1, 8, 8)),
    "resnet18": (resnet, torch.randn(4, 3, 32, 32)),
    "lstm": (Recurrent, IDS),
    "encoder": (Encoder, IDS),
    "masked": (Masked, (IDS, torch.ones_like(IDS).bool())),
    "otherwise": (Otherwise, torch.randn(4, 6)),
}


@cache
def captured(name: str) -> tuple[nn.Module, Captured]:
    """Return a module, always of the same weights, and its capture."""
    make, example = EXAMPLES[name]
    torch.manual_seed(3)
    module = make()
    return module, stillhouse.capture(module, example)


def batch(name: str) -> tuple[tuple[Tensor, ...], Inputs]:
    """Return a batch that no example was, as the module takes it and as the engine does."""
    generator = torch.Generator().manual_seed(1)
    example = EXAMPLES[name][1]
    first = example[0] if isinstance(example, tuple) else example
    if first.is_floating_point():
        inputs = torch.randn(5, *first.shape[1:], generator=generator)
        return (inputs,), inputs
    lengths_B = torch.tensor([7, 2, 5, 1, 7])
    mask_BL = torch.arange(7) < lengths_B[:, None]
    ids_BL = torch.randint(1, 30, (5, 7), generator=generator) * mask_BL
    given = (ids_BL, mask_BL) if isinstance(example, tuple) else (ids_BL,)
    return given, Tokens(ids_BL, mask_BL, lengths_B)


def rebuilt(name: str) -> nn.Module:
    """Return the network that the engine builds from a capture that went through JSON, with the module's weights."""
    module, capture = captured(name)
    text = capture.architecture.model_dump_json(exclude_none=True)
    network = build.network(type(capture.architecture).model_validate_json(text))
    network.load_state_dict(module.state_dict(), strict=True)
    return network
