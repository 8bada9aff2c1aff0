"""A transfer set of texts as a language model is taught by it: each token is told what the next one is.

N = samples, A = tokens of all texts that another follows.
"""

from dataclasses import replace

import torch
from torch import Tensor

from app.contract.states import FailureCode
from worker.engine.data.units import Units
from worker.engine.failures import EngineFailure
from worker.engine.inputs import TransferSet
from worker.engine.views.sight import Sight

_EVALUATED = 2**27
"""Logits of a part that a network is evaluated on: all of them are in memory at once, several times over."""


def predicting(transfer_set: TransferSet, sight: Sight, classes: int) -> tuple[TransferSet, list[str]]:
    """Return the set with a label for each token that has a successor, and sentences for the user.

    Of validation and test only as many texts are left as can be evaluated. Raises EngineFailure where nothing can be
    predicted, or evaluated.
    """
    units, next_A = sight.next_tokens()
    found = replace(transfer_set, units=units, labels_N=next_A, class_names=())
    for part, rows_N in found.rows.items():
        if len(rows_N) and not len(found.usable_rows[part]):
            text = f"No text of the {part} part has two tokens: there is nothing to predict."
            raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)
    most = max(1, _EVALUATED // classes)
    _require_evaluated(found, most)
    kept = {part: rows_N if part == "train" else _drawn(units, rows_N, most) for part, rows_N in found.rows.items()}
    told = [
        f"Of the {part} part {len(rows_N):,} of {len(found.rows[part]):,} texts are looked at, drawn by lot: logits of "
        f"{most:,} tokens are what an evaluation holds."
        for part, rows_N in kept.items()
        if len(rows_N) < len(found.rows[part])
    ]
    return replace(found, rows=kept), told


def _require_evaluated(found: TransferSet, most: int) -> None:
    if len(found.rows["validation"]) or len(found.rows["test"]) or len(found.units.of(found.rows["train"])) <= most:
        return
    text = (
        f"The transfer set has no validation nor test part, and its training part more than the {most:,} tokens that "
    )
    text += "can be evaluated: give it one."
    raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)


def _drawn(units: Units, rows_N: Tensor, most: int) -> Tensor:
    """Return as many of the rows as have at most so many units, and one at least; for every job the same ones."""
    order_N = torch.randperm(len(rows_N), generator=torch.Generator().manual_seed(0))
    counts_N = torch.bincount(units.owners(rows_N), minlength=len(rows_N))[order_N]
    count = max(1, int((counts_N.cumsum(0) <= most).sum())) if len(rows_N) else 0
    return rows_N[order_N[:count].sort().values]
