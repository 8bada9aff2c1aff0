"""Methods of channels, relations and dense maps once more, as papers and published code have them: loops over numbers.

Of one pair of taps. s, t = arrays (B, K, H, W) of what the student and the teacher hold there.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Values = NDArray[np.float64]
Formula = Callable[[Any, Values, Values], float]


def softmax(values: Values, temperature: float) -> Values:
    powers: Values = np.exp(values / temperature)
    return powers / powers.sum()


def kl(p: Values, q: Values) -> float:
    return float(sum(a * math.log(a / b) for a, b in zip(p.flat, q.flat, strict=True)))


def unit(vector: Values) -> Values:
    length = math.sqrt(sum(float(x) ** 2 for x in vector.flat))
    return vector / length if length else vector


def cosine(x: Values, y: Values) -> float:
    return float(unit(x).ravel() @ unit(y).ravel())


def huber(x: float, y: float) -> float:
    apart = abs(x - y)
    return apart**2 / 2 if apart < 1 else apart - 0.5


def channel_distillation(_: Any, s: Values, t: Values) -> float:
    """Zhou et al.: the mean over samples and channels."""
    samples, channels = t.shape[:2]
    total = 0.0
    for b in range(samples):
        for k in range(channels):
            total += (s[b, k].mean() - t[b, k].mean()) ** 2
    return float(total / (samples * channels))


def cwd(term: Any, s: Values, t: Values) -> float:
    """Shu et al., eq. 4: T² / C, the sum over channels and positions; the mean over the batch."""
    total = 0.0
    for b in range(len(t)):
        for k in range(t.shape[1]):
            total += kl(softmax(t[b, k], term.temperature), softmax(s[b, k], term.temperature))
    return float(term.temperature**2 * total / (t.shape[1] * len(t)))


def ickd(term: Any, s: Values, t: Values) -> float:
    """ADLab-AutoDrive/ICKD: rows of length 1, the sum over K · B; of a grid, each cell as if it were a sample."""
    values = []
    for b in range(len(t)):
        for i in range(term.grid):
            for j in range(term.grid):
                both = [_correlation(_cell(x[b], i, j, term.grid)) for x in (s, t)]
                values.append(((both[0] - both[1]) ** 2).sum() / t.shape[1])
    return float(np.mean(values))


def _cell(x: Values, i: int, j: int, grid: int) -> Values:
    rows, columns = x.shape[1] // grid, x.shape[2] // grid
    return x[:, i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]


def _correlation(x: Values) -> Values:
    channels = len(x)
    products = [[(x[m] * x[n]).sum() for n in range(channels)] for m in range(channels)]
    return np.array([unit(np.array(row)) for row in products])


def similarity_preserving(_: Any, s: Values, t: Values) -> float:
    """Tung & Mori, eq. 4: the sum over b²."""
    return float(((_similarity(s) - _similarity(t)) ** 2).sum() / len(t) ** 2)


def _similarity(x: Values) -> Values:
    return np.array([unit(np.array([(a * b).sum() for b in x])) for a in x])


def rkd(term: Any, s: Values, t: Values) -> float:
    """Park et al., eq. 5 to 10, averaged over all tuples as in lenscloth/RKD."""
    samples = len(t)
    pairs = [(i, j) for i in range(samples) for j in range(samples)]
    triples = [(i, j, k) for i, j in pairs for k in range(samples)]
    distance = sum(huber(_distance(s, i, j), _distance(t, i, j)) for i, j in pairs) / len(pairs)
    angle = sum(huber(_angle(s, *three), _angle(t, *three)) for three in triples) / len(triples)
    return float(term.distance * distance + term.angle * angle)


def _distance(x: Values, i: int, j: int) -> float:
    apart = [math.dist(a.ravel(), b.ravel()) for a in x for b in x]
    some = [length for length in apart if length > 0]
    return math.dist(x[i].ravel(), x[j].ravel()) / (sum(some) / len(some)) if some else 0.0


def _angle(x: Values, i: int, j: int, k: int) -> float:
    return cosine(x[i] - x[j], x[k] - x[j])


def pkt(_: Any, s: Values, t: Values) -> float:
    """Code of Passalis, less its 1e-7 within the logarithms: cosines moved to 0 ... 1, the mean over all pairs."""
    q, p = _neighbours(s), _neighbours(t)
    return float(np.mean([a * math.log(a / b) for a, b in zip(p.flat, q.flat, strict=True)]))


def _neighbours(x: Values) -> Values:
    kernel = np.array([[(cosine(a, b) + 1) / 2 for b in x] for a in x])
    return np.array([row / row.sum() for row in kernel])


def correlation_congruence(term: Any, s: Values, t: Values) -> float:
    """Peng et al., eq. 5 and 9: the sum over n²."""

    def kernel(a: Values, b: Values) -> float:
        gamma, c = term.gamma, cosine(a, b)
        return sum(math.exp(-2 * gamma) * (2 * gamma) ** p / math.factorial(p) * c**p for p in range(term.order + 1))

    both = zip(((a, b) for a in s for b in s), ((a, b) for a in t for b in t), strict=True)
    return sum((kernel(*x) - kernel(*y)) ** 2 for x, y in both) / len(t) ** 2


def pixelwise(term: Any, s: Values, t: Values) -> float:
    """Liu et al., eq. 1: the mean over positions, as cross-entropy less the teacher's entropy; the mean over images."""
    positions = [(b, i, j) for b in range(len(t)) for i in range(t.shape[2]) for j in range(t.shape[3])]
    values = [kl(*(softmax(x[b, :, i, j], term.temperature) for x in (t, s))) for b, i, j in positions]
    return float(term.temperature**2 * np.mean(values))


def pkd(_: Any, s: Values, t: Values) -> float:
    """Cao et al.: 1 - r of each channel's values in all samples."""
    return float(np.mean([1 - np.corrcoef(s[:, k].ravel(), t[:, k].ravel())[0, 1] for k in range(t.shape[1])]))


def mgd(_: Any, s: Values, t: Values) -> float:
    """Yang et al., eq. 3 and 4, with nothing masked: the sum over channels and positions, the mean over the batch.

    The two convolutions are those that a fresh layer has; what is made of them is written out.
    """
    torch.manual_seed(0)
    first, second = (nn.Conv2d(t.shape[1], t.shape[1], 3, padding=1).double() for _ in range(2))
    total = 0.0
    for student, teacher in zip(s, t, strict=True):
        generated = _convolved(np.maximum(_convolved(student, first), 0.0), second)
        total += float(((teacher - generated) ** 2).sum())
    return total / len(t)


def _convolved(x: Values, layer: nn.Conv2d) -> Values:
    assert layer.bias is not None
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    made = np.zeros((len(weight), *x.shape[1:]))
    for k, i, j in np.ndindex(made.shape):
        made[k, i, j] = (weight[k] * padded[:, i : i + 3, j : j + 3]).sum() + bias[k]
    return made


RELATIONS: dict[str, tuple[Formula, tuple[dict[str, Any], ...]]] = {
    "channel_distillation": (channel_distillation, ()),
    "correlation_congruence": (correlation_congruence, ({"order": 4, "gamma": 1.5},)),
    "cwd": (cwd, ({"temperature": 1.0},)),
    "ickd": (ickd, ({"grid": 2},)),
    "mgd": (mgd, ()),
    "pixelwise": (pixelwise, ({"temperature": 3.0},)),
    "pkd": (pkd, ()),
    "pkt": (pkt, ()),
    "rkd": (rkd, ({"distance": 0.0}, {"angle": 0.0})),
    "similarity_preserving": (similarity_preserving, ()),
}
"""Each method's formula, and settings other than the defaults that it must also hold for."""
