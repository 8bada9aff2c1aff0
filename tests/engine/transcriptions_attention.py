"""Methods of transformers and embeddings once more, as papers and published code have them: loops over numbers.

s, t = arrays of what the student and the teacher hold at a method's pair of taps; a method that looks at several
layouts gets a tuple of arrays, in the order of the layouts' names.
"""

import math
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def unit(vector: Values) -> Values:
    return vector / math.sqrt(sum(float(x) ** 2 for x in vector))


def softmax(row: Values) -> Values:
    powers = np.array([math.exp(x) for x in row])
    return powers / sum(powers)


def kl(p: Values, q: Values) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def mean_square(s: Values, t: Values) -> float:
    return float(np.mean([(x - z) ** 2 for x, z in zip(s.flat, t.flat, strict=True)]))


def hidden_cosine(_: Any, s: Values, t: Values) -> float:
    """DistilBERT's CosineEmbeddingLoss with a target of 1; channels stand first in maps, last in tokens."""
    if s.ndim == 4:
        s, t = (found.transpose(0, 2, 3, 1).reshape(len(found), -1, found.shape[1]) for found in (s, t))
    s, t = (found.reshape(len(found), -1, found.shape[-1]) for found in (s, t))
    samples = [[1 - unit(a) @ unit(b) for a, b in zip(x, z, strict=True)] for x, z in zip(s, t, strict=True)]
    return float(np.mean(samples))


def patient(term: Any, s: Values, t: Values) -> float:
    """PKD, eq. 7, of one layer: the squared length of the difference; in the authors' code the mean over channels."""
    values = []
    for a, b in zip(s, t, strict=True):
        apart = unit(a[0] if term.token == "first" else a.mean(0)) - unit(b[0] if term.token == "first" else b.mean(0))
        values.append(sum(apart**2) / (len(apart) if term.formulation == "code" else 1))
    return float(np.mean(values))


def tinybert(term: Any, s: Any, t: Any) -> float:
    """TinyBERT, eqs. 7 and 8, of one layer, without a projection; attention comes before tokens."""
    s, t = (found if isinstance(found, tuple) else (found,) for found in (s, t))
    total = 0.0
    for a, b in zip(s, t, strict=True):
        pairs = [
            (x.mean(0), z.mean(0)) if term.heads == "mean" and x.ndim == 3 else (x, z)
            for x, z in zip(a, b, strict=True)
        ]
        total += float(np.mean([mean_square(x, z) for x, z in pairs]))
    return total


def relations(vectors_LD: Values) -> list[Values]:
    """How each token relates to all: a softmax of scaled dot products."""
    width = vectors_LD.shape[1]
    return [softmax(np.array([x @ z / math.sqrt(width) for z in vectors_LD])) for x in vectors_LD]


def minilm(term: Any, s: Any, t: Any) -> float:
    """MiniLM, eqs. 5 to 9, or with version 2 MiniLMv2, eqs. 7 to 10."""
    total = 0.0
    if term.version == 1:
        (scores_s, s), (scores_t, t) = s, t
        rows = zip(scores_s.reshape(-1, scores_s.shape[3]), scores_t.reshape(-1, scores_t.shape[3]), strict=True)
        total += float(np.mean([kl(softmax(b), softmax(a)) for a, b in rows]))
    for part in [2] if term.version == 1 else [0, 1, 2]:
        values = []
        for a, b in zip(s[:, part], t[:, part], strict=True):
            for x, z in zip(cut(term, a), cut(term, b), strict=True):
                values += [kl(taught, learnt) for taught, learnt in zip(relations(z), relations(x), strict=True)]
        total += float(np.mean(values))
    return total


def cut(term: Any, heads_ALD: Values) -> list[Values]:
    """The networks' own heads; with version 2 all of them side by side, cut anew: 6 channels in 6 heads by default."""
    if term.version == 1:
        return list(heads_ALD)
    joined = np.concatenate(list(heads_ALD), axis=1)
    return np.split(joined, term.relation_heads or joined.shape[1], axis=1)


def embeddings(values: Values) -> Values:
    """What maps and tokens are brought to: the mean over positions."""
    return values.mean((2, 3)) if values.ndim == 4 else values.mean(1) if values.ndim == 3 else values


def similarity_distribution(term: Any, s: Values, t: Values, own: dict[str, Any]) -> float:
    """SEED, eqs. 1 to 5, less the teacher's entropy."""
    s, t = embeddings(s), embeddings(t)
    queue = np.array(own["queues.0.places_QD"])
    values = []
    for a, b in zip(s, t, strict=True):
        others = [unit(b), *queue]
        p = softmax(np.array([unit(b) @ other / term.teacher_temperature for other in others]))
        q = softmax(np.array([unit(a) @ other / term.student_temperature for other in others]))
        values.append(sum(x * math.log(x / z) for x, z in zip(p, q, strict=True) if x > 0))
    return float(np.mean(values))


def margin_mse(term: Any, s: Values, t: Values) -> float:
    """Margin-MSE, eq. 5, over all queries i and pairs of passages j, k of a batch."""
    s, t = (found.reshape(len(found), -1) if found.ndim != 3 else found.mean(1) for found in (s, t))
    score = (lambda x, z: unit(x) @ unit(z)) if term.similarity == "cosine" else (lambda x, z: x @ z)
    values = [
        ((score(s[i], s[j]) - score(s[i], s[k])) - (score(t[i], t[j]) - score(t[i], t[k]))) ** 2
        for i, j, k in permutations(range(len(s)), 3)
    ]
    return float(np.mean(values))


ATTENTION: dict[str, tuple[Any, ...]] = {
    "hidden_cosine": (hidden_cosine, ()),
    "margin_mse": (margin_mse, ({"similarity": "dot"},)),
    "minilm": (minilm, ({"relation_heads": 2}, {"relation_heads": 3}, {"version": 1})),
    "patient": (patient, ({"formulation": "paper"}, {"token": "mean"})),
    "similarity_distribution": (
        similarity_distribution, ({"size": 7}, {"teacher_temperature": 0.2}, {"size": 3, "student_temperature": 1.0}),
        True,
    ),
    "tinybert": (tinybert, ({"heads": "mean"}, {"attention": []}, {"layers": []})),
}  # fmt: skip
