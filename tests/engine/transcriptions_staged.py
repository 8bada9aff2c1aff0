"""Formulas of methods whose paper trains in stages or keeps a memory, as their papers have them, in plain NumPy.

s = student, t = teacher: maps (B, K, H, W) or vectors (B, K); own = what the loss learns or keeps, by name.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tests.engine.transcriptions_features import Array, convolved, normed

Own = Mapping[str, Any]


def leaky(value: Array) -> Array:
    return np.where(value > 0, value, 0.1 * value)


def encoded(image: Array, own: Own, name: str) -> Array:
    for layer in (0, 2, 4):
        image = leaky(convolved(image, own[f"{name}.{layer}.weight"], own[f"{name}.{layer}.bias"]))
    return image


def decoded(image: Array, own: Own, name: str) -> Array:
    """A transposed convolution of stride 1 is a convolution by the kernel turned round."""
    for layer in (0, 2, 4):
        kernel = np.asarray(own[f"{name}.{layer}.weight"]).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        image = leaky(convolved(image, kernel, own[f"{name}.{layer}.bias"]))
    return image


def translated(batch: Array, own: Own, name: str) -> Array:
    for layer in range(3):
        weight, bias = (own[f"{name}.{layer}.0.{which}"] for which in ("weight", "bias"))
        batch = leaky(normed(np.stack([convolved(image, weight, bias) for image in batch]), own, f"{name}.{layer}.1"))
    return batch


def factor_transfer(term: Any, s: Any, t: Any, _: Sequence[int], own: Own) -> float:
    """Kim et al. 2018, eq. 1 and 4; means where the paper has sums, as in the authors' code."""
    student, teacher = np.asarray(s), np.asarray(t)
    factors = [encoded(image, own, "paraphrasers.0.encoder") for image in teacher]
    if term.learns == "paraphraser":
        again = np.stack([decoded(factor, own, "paraphrasers.0.decoder") for factor in factors])
        return float(((again - teacher) ** 2).mean())
    values = []
    for own_factor, factor in zip(translated(student, own, "translators.0"), factors, strict=True):
        mine, wanted = own_factor.ravel(), factor.ravel()
        apart = mine / np.sqrt((mine**2).sum()) - wanted / np.sqrt((wanted**2).sum())
        values.append((np.abs(apart) ** term.power).mean())
    return float(np.mean(values))


def simkd(_: Any, s: Any, t: Any, __: Sequence[int], own: Own) -> float:
    """Chen et al. 2022: the squared distance of projected features, as a mean."""
    weight, bias = np.asarray(own["projector.weight"]), np.asarray(own["projector.bias"])
    values = [((weight @ a + bias - b) ** 2).mean() for a, b in zip(np.asarray(s), np.asarray(t), strict=True)]
    return float(np.mean(values))


def splitmix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)


def drawn(seed: int, number: int, row: int, draws: int) -> list[float]:
    """Numbers between 0 and 1 of a sample: the engine's generator, in whole numbers of any size."""
    key = int.from_bytes(hashlib.sha256(f"view {seed} {number} 0".encode()).digest()[:8], "big")
    places = ((row * 2**32 + draw) * 0x9E3779B97F4A7C15 + key for draw in range(draws))
    return [(splitmix(splitmix(place % 2**64)) >> 40) / 2**24 for place in places]


def crd(term: Any, s: Any, t: Any, _: Sequence[int], own: Own) -> float:
    """Tian et al. 2020, eq. 17 and 18, with Z = N · z; the batch are the first ones of the training samples."""
    labels, number = [row % 4 for row in range(32)], 5 * 2**20  # as `methods.py` has them
    torch.manual_seed(0)  # as before the loss was made, whose first draw is the seed
    seed = int(torch.randint(2**31, ()))
    memory, log_z = np.asarray(own["contrasts.0.memory_SRD"]), own["contrasts.0.log_z_S"]
    values = []
    by_class = sorted(range(len(labels)), key=lambda row: labels[row])
    for row, features in enumerate(zip(np.asarray(s), np.asarray(t), strict=True)):
        others = [other for other in by_class if labels[other] != labels[row]]
        chosen = [others[int(draw * len(others))] for draw in drawn(seed, number, row, term.negatives)]
        value = 0.0
        for side, feature in enumerate(features):
            weight, bias = (np.asarray(own[f"contrasts.0.embeddings.{side}.{which}"]) for which in ("weight", "bias"))
            said = weight @ feature.reshape(len(feature), -1).mean(1) + bias
            said = said / np.sqrt((said**2).sum())
            powers = np.exp(memory[1 - side] @ said / term.temperature)
            z, count = math.exp(log_z[1 - side]), len(labels)
            p_data, p_noise = powers / (count * z), term.negatives / count
            value -= math.log(p_data[row] / (p_data[row] + p_noise))
            value -= sum(math.log(p_noise / (p_data[other] + p_noise)) for other in chosen)
        values.append(value)
    return float(np.mean(values))


STAGED: dict[str, tuple[Callable[..., float], tuple[dict[str, Any], ...], bool]] = {
    "crd": (crd, ({"negatives": 3, "temperature": 1.0}, {"negatives": 50, "dimensions": 4}), True),
    "factor_transfer": (factor_transfer, ({"learns": "paraphraser"}, {"power": 2, "rate": 1.0}, {"rate": 0.1}), True),
    "simkd": (simkd, (), True),
}
"""As FEATURES."""
