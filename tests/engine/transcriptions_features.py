"""Formulas of methods that look at maps, as their papers have them: loops over numpy's numbers, nothing of the engine.

s = student, t = teacher, both (B, K, H, W) as nested lists; `own` is what a loss learns or keeps, by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Own = Mapping[str, Any]
_EPS = 1e-5
"""Batch norm's."""


def positions(array: Array) -> list[tuple[int, int]]:
    return [(row, column) for row in range(array.shape[-2]) for column in range(array.shape[-1])]


def convolved(image: Array, kernel: Any, bias: Any = None) -> Array:
    """A convolution of one sample (K, H, W) by a kernel (M, K, size, size), padded so that the size stays."""
    kernel = np.asarray(kernel)
    pad = kernel.shape[-1] // 2
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    found = np.zeros((len(kernel), *image.shape[1:]))
    for out in range(len(kernel)):
        for row, column in positions(image):
            window = padded[:, row : row + kernel.shape[-1], column : column + kernel.shape[-1]]
            found[out, row, column] = np.sum(window * kernel[out]) + (0.0 if bias is None else bias[out])
    return found


def normed(batch: Array, own: Own, name: str, *, training: bool = False) -> Array:
    """Batch norm of (B, K, H, W)."""
    found = np.empty_like(batch)
    for channel in range(batch.shape[1]):
        values = batch[:, channel]
        mean, variance = own[f"{name}.running_mean"][channel], own[f"{name}.running_var"][channel]
        if training:
            mean, variance = values.mean(), values.var()
        scale, shift = own[f"{name}.weight"][channel], own[f"{name}.bias"][channel]
        found[:, channel] = (values - mean) / np.sqrt(variance + _EPS) * scale + shift
    return found


def connected(student: Any, own: Own, name: str) -> Array:
    """What a connector makes of the student's maps: 1 x 1 convolution and batch norm; nothing where there is none."""
    batch = np.asarray(student)
    if f"{name}.0.weight" not in own:
        return batch
    return normed(np.stack([convolved(image, own[f"{name}.0.weight"]) for image in batch]), own, f"{name}.1")


def averaged(value: Callable[[float, float, int], float], s: Array, t: Array) -> float:
    """The mean over all numbers of a value of (student's, teacher's, channel)."""
    places = np.ndindex(*t.shape)
    return float(np.mean([value(s[place], t[place], place[1]) for place in places]))


def vid(_: Any, s: Any, t: Any, __: Sequence[int], own: Own) -> float:
    """Ahn et al. 2019, eq. 5: ln σ² / 2 + (t - μ)² / 2 σ², σ² = ln(1 + e^α); their code adds 1e-5 and averages."""
    batch = np.asarray(s)
    if "means.0.layers.0.weight" in own:
        layers = [(own[f"means.0.layers.{n}.weight"], own[f"means.0.layers.{n}.bias"]) for n in (0, 2)]
        hidden = [np.maximum(convolved(image, *layers[0]), 0) for image in batch]
        batch = np.stack([convolved(image, *layers[1]) for image in hidden])
    variances = [np.log(1 + np.exp(alpha)) + 1e-5 for alpha in own["variances.0"]]
    return averaged(lambda a, b, k: np.log(variances[k]) / 2 + (b - a) ** 2 / (2 * variances[k]), batch, np.asarray(t))


def overhaul(_: Any, s: Any, t: Any, __: Sequence[int], own: Own) -> float:
    """Heo et al. 2019: the partial distance is 0 if S <= T <= 0, T the margin ReLU's; a mean and not a sum."""

    def partial(student: float, teacher: float, channel: int) -> float:
        target = max(teacher, own["margins.0.margins_K"][channel])
        return 0.0 if student <= target <= 0 else (target - student) ** 2

    return averaged(partial, connected(s, own, "connectors.0.layers"), np.asarray(t))


def activation_boundary(term: Any, s: Any, t: Any, _: Sequence[int], own: Own) -> float:
    """Heo et al. 2019, eq. 5: |ρ(T) σ(μ - S) + (1 - ρ(T)) σ(μ + S)|², ρ whether above 0; a mean and not a sum."""

    def trespass(student: float, teacher: float, _: int) -> float:
        active = 1.0 if teacher > 0 else 0.0
        found = active * max(term.margin - student, 0.0) + (1 - active) * max(term.margin + student, 0.0)
        return found**2

    return averaged(trespass, connected(s, own, "connectors.0.layers"), np.asarray(t))


def nst(term: Any, s: Any, t: Any, _: Sequence[int]) -> float:
    """Huang & Wang 2017, eqs. 3-6: MMD² over all pairs of channels; the Gaussian's width from the teacher's pairs."""
    values = []
    for student, teacher in zip(np.asarray(s), np.asarray(t), strict=True):
        students, teachers = (
            [channel.ravel() / np.linalg.norm(channel) for channel in maps] for maps in (student, teacher)
        )
        width = np.mean([np.sum((x - z) ** 2) for x in teachers for z in teachers])
        kernels: dict[str, Callable[[Array, Array], float]] = {
            "linear": lambda x, z: float(x @ z),
            "polynomial": lambda x, z: float(x @ z) ** 2,
            "gaussian": lambda x, z, width=width: float(np.exp(-np.sum((x - z) ** 2) / (2 * width))),  # type: ignore[misc]
        }
        kernel = kernels[term.kernel]
        pairs = (teachers, teachers), (students, students), (students, teachers)
        among, own, across = (np.mean([kernel(x, z) for x in first for z in second]) for first, second in pairs)
        values.append(among + own - 2 * across)
    return float(np.mean(values))


def flows(first: Array, second: Array) -> Array:
    """Yim et al. 2017, eq. 1, for one sample: (K, M)."""
    found = np.zeros((len(first), len(second)))
    for row, column in positions(first):
        found += np.outer(first[:, row, column], second[:, row, column])
    return found / len(positions(first))


def fsp(term: Any, s: Any, t: Any, _: Sequence[int]) -> float:
    """Yim et al. 2017, eq. 2, of a layer with itself."""
    values = []
    for student, teacher in zip(np.asarray(s), np.asarray(t), strict=True):
        squared = (flows(teacher, teacher) - flows(student, student)) ** 2
        values.append(squared.mean() if term.formulation == "code" else squared.sum())
    return float(np.mean(values))


def regions(image: Array, size: int) -> Array:
    """Means over size x size regions of (K, H, W), as evenly cut as can be."""
    rows, columns = image.shape[1:]
    found = np.zeros((len(image), size, size))
    for row, column in positions(found):
        top, bottom = row * rows // size, -(-(row + 1) * rows // size)
        left, right = column * columns // size, -(-(column + 1) * columns // size)
        found[:, row, column] = image[:, top:bottom, left:right].mean((1, 2))
    return found


def hcl(student: Array, teacher: Array) -> float:
    """ReviewKD's hierarchical loss of one sample, as its code has it."""
    found, weight, whole = np.mean((student - teacher) ** 2), 1.0, 1.0
    for size in (4, 2, 1):
        if size < min(student.shape[1:]):
            weight /= 2
            found += weight * np.mean((regions(student, size) - regions(teacher, size)) ** 2)
            whole += weight
    return float(found / whole)


def nearest(image: Array, rows: int, columns: int) -> Array:
    found = np.zeros((len(image), rows, columns))
    for row, column in positions(found):
        found[:, row, column] = image[:, row * image.shape[1] // rows, column * image.shape[2] // columns]
    return found


def review(students: Sequence[Any], teachers: Sequence[Any], own: Own, *, training: bool = False) -> float:
    """Chen et al. 2021: fusion from the deepest layer (the last) to the shallowest, each held against the teacher's."""
    carried: Array | None = None
    values = []
    for number in reversed(range(len(students))):
        student, teacher, name = np.asarray(students[number]), np.asarray(teachers[number]), f"fusions.{number}"
        narrow = np.stack([convolved(image, own[f"{name}.narrow.0.weight"]) for image in student])
        narrow = normed(narrow, own, f"{name}.narrow.1", training=training)
        if carried is not None:
            deeper = np.stack([nearest(image, *narrow.shape[2:]) for image in carried])
            narrow = np.stack([_attended(*both, own, f"{name}.attention") for both in zip(narrow, deeper, strict=True)])
        carried = np.stack([nearest(image, *teacher.shape[2:]) for image in narrow])
        wide = np.stack([convolved(image, own[f"{name}.widen.0.weight"]) for image in carried])
        wide = normed(wide, own, f"{name}.widen.1", training=training)
        values.append(np.mean([hcl(*both) for both in zip(wide, teacher, strict=True)]))
    return float(np.mean(values))


def _attended(own_map: Array, deeper: Array, own: Own, name: str) -> Array:
    scores = convolved(np.concatenate([own_map, deeper]), own[f"{name}.weight"], own[f"{name}.bias"])
    weights = 1 / (1 + np.exp(-scores))
    return own_map * weights[0] + deeper * weights[1]


def review_of_one(_: Any, s: Any, t: Any, __: Sequence[int], own: Own) -> float:
    """Of a single layer, which has nothing to fuse with."""
    return review([s], [t], own)


_BARE = {"adapter": "none"}
FEATURES: dict[str, tuple[Callable[..., float], tuple[dict[str, Any], ...], bool]] = {
    "activation_boundary": (activation_boundary, (_BARE, {**_BARE, "margin": 0.3}), True),
    "fsp": (fsp, ({"formulation": "paper"},), False),
    "nst": (nst, ({"kernel": "linear"}, {"kernel": "gaussian"}), False),
    "overhaul": (overhaul, (_BARE,), True),
    "review": (review_of_one, ({"width": 2},), True),
    "vid": (vid, (_BARE, {**_BARE, "initial_variance": 0.5}), True),
}
"""By kind: formula, settings other than the defaults, and whether the formula takes what the loss learns itself."""
