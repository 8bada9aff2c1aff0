"""The big network of Hinton et al. 2015, section 3: two hidden layers of 1,200, dropout, jittered images.

Plain torch: this is the user's own network, trained before Stillhouse sees it. B = batch, N = samples.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.reproduce.material import CACHE, Mnist

ARCHITECTURE = {"kind": "mlp", "inputs": 784, "hidden": [1200, 1200], "classes": 10}
"""As the service knows it."""
SIDE, SHIFT = 28, 2
"""Pixels of an image, and how far it may move in each direction."""
BATCH, RATE = 128, 1e-3
DROPOUT = 0.25
"""Half of the usual: a training of tens of epochs, not thousands, does better with less."""


def network(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """Return rectified layers: dropout of hidden units, and 0.4 times as much of pixels (usual: 0.5 and 0.2)."""
    layers: list[nn.Module] = [nn.Dropout(0.4 * dropout)]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def trained(data: Mnist, epochs: int, seed: int = 0) -> Path:
    """Return the teacher's weights; trained once, and kept beside the material."""
    path = CACHE / f"mnist-teacher-{epochs}-{seed}.safetensors"
    if not path.exists():
        save_file(_train(data, epochs, seed).state_dict(), path)
    return path


def loaded(path: Path) -> nn.Sequential:
    """Return the teacher with its weights, ready to be asked."""
    teacher = network(SIDE**2, 1200, 1200, 10, dropout=DROPOUT)
    teacher.load_state_dict(load_file(path))
    return teacher.eval()


def errors(teacher: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> int:
    """Return how many images are read wrongly."""
    with torch.inference_mode():
        guessed = torch.cat([teacher(part).argmax(1) for part in torch.from_numpy(pixels).split(1_000)])
    return int((guessed != torch.from_numpy(labels)).sum())


def _train(data: Mnist, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    teacher = network(SIDE**2, 1200, 1200, 10, dropout=DROPOUT)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=RATE, fused=True)
    pixels, labels = torch.from_numpy(data.train_pixels), torch.from_numpy(data.train_labels)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (-(-len(labels) // BATCH)))
    for epoch in range(epochs):
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = nn.functional.cross_entropy(teacher(jittered(pixels[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"teacher, epoch {epoch + 1} of {epochs}: loss {loss.item():.4f}", flush=True)
    return teacher.eval()


def jittered(pixels: Tensor) -> Tensor:
    """Return images (B, 784), each moved by up to two pixels in each direction; zeros come in."""
    wide = SIDE + 2 * SHIFT
    padded = nn.functional.pad(pixels.view(-1, SIDE, SIDE), [SHIFT] * 4).flatten(1)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, len(pixels), 1))
    window = (torch.arange(SIDE)[:, None] * wide + torch.arange(SIDE)).flatten()
    return padded.gather(1, window + down * wide + right)
