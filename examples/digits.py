"""What the demo's user has: handwritten digits, a network of their own, a teacher that they trained.

The data is scikit-learn's: 1,797 images of 8x8 pixels, shipped inside the package.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

HELD_BACK = 500
"""Test images: neither teacher nor student ever trains on them."""
LABELS = 100
"""Training images whose label the transfer set keeps, ten of each class."""
NO_LABEL = -1
TRAIN, TEST = 0, 2
"""The service's numbers for the parts of a set."""


class Net(nn.Module):
    """Fully connected, with the user's own parameter names: `net.0`, `net.2`, ..."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits, (samples, classes)."""
        return self.net(pixels)


@dataclass(frozen=True)
class Digits:
    """Pixels between 0 and 1, (samples, 64), and all labels, (samples): those that the transfer set lacks too."""

    train_pixels: np.ndarray
    train_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray


def load(seed: int) -> Digits:
    """Return the images in an order drawn from the seed, the last 500 held back."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    pixels, labels = (pixels[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    return Digits(pixels[:-HELD_BACK], labels[:-HELD_BACK], pixels[-HELD_BACK:], labels[-HELD_BACK:])


def train_teacher(digits: Digits, seed: int) -> Net:
    """Train a wide network on the whole labelled training part: seconds on one core."""
    torch.manual_seed(seed)
    teacher = Net(64, 512, 512, 10)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=1e-3)
    pixels, labels = torch.from_numpy(digits.train_pixels), torch.from_numpy(digits.train_labels)
    for _ in range(20):
        for batch in torch.randperm(len(labels)).split(64):
            loss = nn.functional.cross_entropy(teacher(pixels[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return teacher.eval()


def transfer_set(digits: Digits, seed: int) -> dict[str, np.ndarray]:
    """Return all training images, with few labels among them, and the held-back ones with theirs, for the report."""
    few = np.full_like(digits.train_labels, NO_LABEL)
    draw = np.random.default_rng(seed)
    for digit in range(10):
        kept = draw.choice(np.flatnonzero(digits.train_labels == digit), LABELS // 10, replace=False)
        few[kept] = digit
    parts = np.repeat([TRAIN, TEST], [len(few), HELD_BACK])
    return {
        "inputs": np.concatenate([digits.train_pixels, digits.test_pixels]),
        "labels": np.concatenate([few, digits.test_labels]),
        "split": parts.astype(np.int64),
    }


def accuracy(network: Net, digits: Digits) -> float:
    """Return the share of the held-back images that the network reads right."""
    with torch.inference_mode():
        guessed = network(torch.from_numpy(digits.test_pixels)).argmax(dim=1)
    return float((guessed == torch.from_numpy(digits.test_labels)).float().mean())
