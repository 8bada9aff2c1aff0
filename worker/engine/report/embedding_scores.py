"""How near a network's embeddings come to the teacher's. N = samples, D = numbers of an embedding, P = pairs."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss, normalize

from app.contract.report import EmbeddingScores

_COMPARED = 500
"""Samples whose pairs are compared: their number grows with the square."""


def embedding_scores(network_ND: Tensor, teacher_ND: Tensor) -> EmbeddingScores:
    """Return the scores; embeddings in float64. Their widths may differ."""
    alike = network_ND.shape == teacher_ND.shape
    return EmbeddingScores(
        mse=float(mse_loss(network_ND, teacher_ND)) if alike else None,
        cosine=float(cosine_similarity(network_ND, teacher_ND, dim=1).mean()) if alike else None,
        spearman=_spearman(_similarities(network_ND[:_COMPARED]), _similarities(teacher_ND[:_COMPARED])),
    )


def nearness(network_ND: Tensor, teacher_ND: Tensor) -> dict[str, float]:
    """Return the one score that is followed during training: the `cosine`, or of unequal widths `spearman`."""
    if network_ND.shape == teacher_ND.shape:
        return {"cosine": float(cosine_similarity(network_ND, teacher_ND, dim=1).mean())}
    found = _spearman(_similarities(network_ND[:_COMPARED].double()), _similarities(teacher_ND[:_COMPARED].double()))
    return {} if found is None else {"spearman": found}


def _similarities(embeddings_ND: Tensor) -> Tensor:
    """Return the cosine (P,) of each pair of samples."""
    unit_ND = normalize(embeddings_ND, dim=1)
    upper, other = torch.triu_indices(len(unit_ND), len(unit_ND), offset=1)
    return (unit_ND @ unit_ND.T)[upper, other]


def _spearman(one_P: Tensor, other_P: Tensor) -> float | None:
    """Return the correlation of ranks; None where all are equal, or there are no two of them."""
    if len(one_P) < 2:
        return None
    ranks = torch.stack([_ranks(one_P), _ranks(other_P)])
    ranks = ranks - ranks.mean(1, keepdim=True)
    spread = ranks.norm(dim=1).prod()
    return float((ranks[0] * ranks[1]).sum() / spread) if spread > 0 else None


def _ranks(values_P: Tensor) -> Tensor:
    """Return the ranks from 0; equal values share the mean of theirs."""
    _, group_P, count_G = torch.unique(values_P, return_inverse=True, return_counts=True)
    last_G = count_G.cumsum(0).double()
    mean_G: Tensor = last_G - (count_G.double() + 1) / 2
    return mean_G[group_P]
