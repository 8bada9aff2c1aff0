"""Each method's formula once more, as its paper has it: plain loops over numbers, and nothing shared with the engine.

Logarithms of probabilities and all, so only for logits of a moderate size. s = student, t = teacher, y = label or -1;
s and t are outputs, or for methods of features what lies at the one pair of taps.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.engine.transcriptions_attention import ATTENTION
from tests.engine.transcriptions_features import FEATURES
from tests.engine.transcriptions_relations import RELATIONS
from tests.engine.transcriptions_staged import STAGED

Row = Sequence[float]
Rows = Sequence[Row]
Maps = Sequence[Sequence[Rows]]
Formula = Callable[..., float]


@dataclass(frozen=True)
class Transcription:
    """A formula of (term, s, t, y), and settings other than the defaults that it must also hold for."""

    formula: Formula
    settings: tuple[dict[str, Any], ...] = ()
    learns: bool = False
    """Whether the formula also takes what the loss learns or keeps itself, by name."""


def softmax(row: Row, temperature: float = 1.0) -> list[float]:
    powers = [math.exp(x / temperature) for x in row]
    return [power / sum(powers) for power in powers]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def kl(p: Row, q: Row) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def cross_entropy(p: Row, q: Row) -> float:
    return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))


def mix(p: Row, q: Row, share: float) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(p, q, strict=True)]


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def one_hot(label: int, classes: int) -> list[float]:
    return [float(place == label) for place in range(classes)]


def labelled(s: Rows, t: Rows, y: Sequence[int]) -> list[tuple[Row, Row, int]]:
    return [(a, b, label) for a, b, label in zip(s, t, y, strict=True) if label >= 0]


def annealed_target(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """BAM: half-way through a line from 0 to 1, unless the share is a number; all teacher where there is no label."""
    values = []
    for a, b, label in zip(s, t, y, strict=True):
        share = (0.5 if hasattr(term.label_share, "start") else term.label_share) if label >= 0 else 0
        values.append(cross_entropy(mix(one_hot(label, len(a)), softmax(b), share), softmax(a)))
    return mean(values)


def attention(channels: Sequence[Rows], power: int) -> list[float]:
    """Zagoruyko & Komodakis 2017: the sum of powers over channels, divided by its length."""
    rows, columns = range(len(channels[0])), range(len(channels[0][0]))
    found = [sum(abs(rows_KHW[row][column]) ** power for rows_KHW in channels) for row in rows for column in columns]
    return [x / math.hypot(*found) for x in found]


def attention_transfer(term: Any, s: Maps, t: Maps, _: Sequence[int]) -> float:
    """Zagoruyko & Komodakis 2017: eq. 2 has the length of the difference, their code its mean square."""
    values = []
    for a, b in zip(s, t, strict=True):
        apart = [x - z for x, z in zip(attention(a, term.power), attention(b, term.power), strict=True)]
        values.append(mean(x**2 for x in apart) if term.formulation == "code" else math.hypot(*apart) / 2)
    return mean(values)


def pearson(u: Row, v: Row) -> float:
    du, dv = [x - mean(u) for x in u], [x - mean(v) for x in v]
    return sum(a * b for a, b in zip(du, dv, strict=True)) / (math.hypot(*du) * math.hypot(*dv))


def dist(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Huang et al. 2022: inter-class over rows, intra-class over columns."""
    q, p = ([softmax(row, term.temperature) for row in rows] for rows in (s, t))
    inter = mean(1 - pearson(a, b) for a, b in zip(q, p, strict=True))
    intra = mean(1 - pearson(a, b) for a, b in zip(zip(*q, strict=True), zip(*p, strict=True), strict=True))
    return float(term.temperature**2 * (term.beta * inter + term.gamma * intra))


def dkd(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """Zhao et al. 2022, eqs. 2 to 7: the label against the rest, and the others among themselves."""
    values = []
    for a, b, label in labelled(s, t, y):
        q, p = softmax(a, term.temperature), softmax(b, term.temperature)
        target = kl([p[label], 1 - p[label]], [q[label], 1 - q[label]])
        places = [place for place in range(len(a)) if place != label]
        others = kl([p[place] / (1 - p[label]) for place in places], [q[place] / (1 - q[label]) for place in places])
        values.append(term.alpha * target + term.beta * others)
    return term.temperature**2 * mean(values)


def embedding_cosine(_: Any, s: Rows, t: Rows, __: Sequence[int]) -> float:
    products = (
        sum(x * z for x, z in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        for a, b in zip(s, t, strict=True)
    )
    return mean(1 - product for product in products)


def guided_kd(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """Zhou et al. 2020, section 3.2, over all labelled samples and not over those that the teacher gets right."""
    rows = labelled(s, t, y)
    right = [(a, b) for a, b, label in rows if b.index(max(b)) == label]
    found = sum(kl(softmax(b, term.temperature), softmax(a, term.temperature)) for a, b in right)
    return float(term.temperature**2 * found / len(rows))


def hard_target(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """Szegedy et al. 2016: the label's share is 1 - ε, and ε is spread evenly over all classes."""
    classes = len(s[0])
    smooth = lambda label: mix([1 / classes] * classes, one_hot(label, classes), term.label_smoothing)  # noqa: E731
    return mean(cross_entropy(smooth(label), softmax(a)) for a, _, label in labelled(s, t, y))


def hint(_: Any, s: Maps, t: Maps, __: Sequence[int]) -> float:
    """Romero et al. 2015, eq. 3, where no regressor is needed; a mean, not half a sum."""
    both = [zip(flat(a), flat(b), strict=True) for a, b in zip(s, t, strict=True)]
    return mean((x - z) ** 2 for pairs in both for x, z in pairs)


def flat(nested: Any) -> list[float]:
    return [x for part in nested for x in flat(part)] if isinstance(nested, list) else [nested]


def jsd(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Agarwal et al. 2023, eq. 1, P the teacher and Q the student."""
    values = []
    for a, b in zip(s, t, strict=True):
        q, p = softmax(a, term.temperature), softmax(b, term.temperature)
        m = mix(p, q, term.beta)
        values.append(term.beta * kl(p, m) + (1 - term.beta) * kl(q, m))
    return term.temperature**2 * mean(values)


def logit_mse(_: Any, s: Rows, t: Rows, __: Sequence[int]) -> float:
    return mean((x - z) ** 2 for a, b in zip(s, t, strict=True) for x, z in zip(a, b, strict=True))


def z_scores(row: Row) -> list[float]:
    """Sun et al. 2024, algorithm 1, before it is divided by the base temperature."""
    deviation = math.sqrt(mean((x - mean(row)) ** 2 for x in row))
    return [(x - mean(row)) / deviation for x in row]


def logit_standardized(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    rows = zip(s, t, strict=True)
    values = (kl(softmax(z_scores(b), term.temperature), softmax(z_scores(a), term.temperature)) for a, b in rows)
    return term.temperature**2 * mean(values)


def multilabel(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Yang et al. 2023: a divergence of two outcomes for each class, added up."""
    values = []
    for a, b in zip(s, t, strict=True):
        pairs = [(sigmoid(z / term.temperature), sigmoid(x / term.temperature)) for x, z in zip(a, b, strict=True)]
        values.append(sum(kl([p, 1 - p], [q, 1 - q]) for p, q in pairs))
    return term.temperature**2 * mean(values)


def pseudo_label(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    values = []
    for a, b, label in zip(s, t, y, strict=True):
        if label < 0:
            p = softmax(b)
            values.append(-math.log(softmax(a)[p.index(max(p))]) if max(p) >= term.threshold else 0)
    return mean(values)


def reverse_kl(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    rows = zip(s, t, strict=True)
    return term.temperature**2 * mean(kl(softmax(a, term.temperature), softmax(b, term.temperature)) for a, b in rows)


def skew_kl(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Ko et al. 2024: KL(p, α p + (1 - α) q), and KL(q, (1 - α) p + α q) in reverse."""
    values = []
    for a, b in zip(s, t, strict=True):
        q, p = softmax(a, term.temperature), softmax(b, term.temperature)
        forward = term.direction == "forward"
        values.append(kl(p, mix(p, q, term.alpha)) if forward else kl(q, mix(p, q, 1 - term.alpha)))
    return term.temperature**2 * mean(values)


def soft_target(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Hinton et al. 2015, section 2: with the factor T²; the sum over classes, the mean over the batch."""
    rows = zip(s, t, strict=True)
    return term.temperature**2 * mean(kl(softmax(b, term.temperature), softmax(a, term.temperature)) for a, b in rows)


def teacher_free(term: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """Yuan et al. 2020, section 5: the virtual teacher's probabilities go through a softmax with τ."""
    values = []
    for a, _, label in labelled(s, t, y):
        rest = (1 - term.correct) / (len(a) - 1)
        virtual = [term.correct if place == label else rest for place in range(len(a))]
        values.append(kl(softmax(virtual, term.temperature), softmax(a)))
    return mean(values)


def uld(term: Any, s: Rows, t: Rows, _: Sequence[int]) -> float:
    """Boizard et al. 2024: probabilities in falling order, the shorter list followed by zeros."""
    values = []
    for a, b in zip(s, t, strict=True):
        q, p = (sorted(softmax(row, term.temperature), reverse=True) for row in (a, b))
        values.append(sum(abs(x - z) for x, z in itertools.zip_longest(q, p, fillvalue=0.0)))
    return mean(values)


def mutual(_: Any, s: Rows, t: Rows, y: Sequence[int]) -> float:
    """Zhang et al. 2018, section 2, where the peers say what is given for the teacher."""
    return mean(kl(softmax(b), softmax(a)) for a, b, _ in labelled(s, t, y))


HOT = {"temperature": 2.5}
TRANSCRIPTIONS: dict[str, Transcription] = {
    "annealed_target": Transcription(annealed_target, ({"label_share": 0.2}, {"label_share": 1.0})),
    "attention_transfer": Transcription(
        attention_transfer, ({"formulation": "paper"}, {"power": 1}, {"power": 4, "formulation": "paper"})
    ),
    "dist": Transcription(dist, (HOT, {"beta": 0.5}, {"gamma": 0.0})),
    "dkd": Transcription(dkd, (HOT, {"alpha": 0.3, "beta": 0.5}, {"temperature": 1.0})),
    "embedding_cosine": Transcription(embedding_cosine),
    "guided_kd": Transcription(guided_kd, (HOT,)),
    "hard_target": Transcription(hard_target, ({"label_smoothing": 0.2},)),
    "hint": Transcription(hint),
    "jsd": Transcription(jsd, (HOT, {"beta": 0.1}, {"beta": 0.9})),
    "logit_mse": Transcription(logit_mse),
    "logit_standardized": Transcription(logit_standardized, (HOT,)),
    "multilabel": Transcription(multilabel, (HOT,)),
    "mutual": Transcription(mutual, ({"peers": 3},)),
    "pseudo_label": Transcription(pseudo_label, ({"threshold": 0.6},)),
    "reverse_kl": Transcription(reverse_kl, (HOT,)),
    "skew_kl": Transcription(
        skew_kl, (HOT, {"alpha": 0.4}, {"direction": "reverse"}, {"direction": "reverse", "alpha": 0.4})
    ),
    "soft_target": Transcription(soft_target, (HOT, {"temperature": 1.0})),
    "teacher_free": Transcription(teacher_free, (HOT, {"correct": 0.9}, {"temperature": 0.1})),
    "uld": Transcription(uld, (HOT,)),
}


def of_arrays(formula: Callable[..., float]) -> Formula:
    """Return a formula of arrays as one of lists; of several layouts it is about a tuple of arrays."""

    def arrays(values: Any, term: Any) -> Any:
        several = len({min(term.layouts(role)) for role in term.roles()}) > 1
        return tuple(map(np.array, values)) if several else np.array(values)

    return lambda term, s, t, _, *own: formula(term, arrays(s, term), arrays(t, term), *own)


TRANSCRIPTIONS |= {kind: Transcription(of_arrays(formula), settings) for kind, (formula, settings) in RELATIONS.items()}
TRANSCRIPTIONS |= {kind: Transcription(of_arrays(formula), *more) for kind, (formula, *more) in ATTENTION.items()}
TRANSCRIPTIONS |= {kind: Transcription(*found) for kind, found in (FEATURES | STAGED).items()}
