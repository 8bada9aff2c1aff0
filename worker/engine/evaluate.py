"""Networks looked at without being changed. N = units of a part (samples, or words), B = batch, C = classes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from worker.engine.data.units import samples_at_once
from worker.engine.inputs import TransferSet
from worker.engine.networks.modes import evaluating
from worker.engine.parallel.ranks import Ranks
from worker.engine.report import calibration
from worker.engine.report.embedding_scores import nearness
from worker.engine.stop import StopSignal
from worker.engine.terms.batch import Batch, Position
from worker.engine.terms.objective import Objective
from worker.engine.views.sight import Sight

_BATCH = 256
"""Samples at once, unless training takes even more."""

Predict = Callable[[Tensor], Tensor]
"""Rows (B,) to logits of their units (U, C)."""


class Evaluator:
    """Logits of a part of the transfer set, batch by batch, heeding a stop in between."""

    def __init__(
        self,
        transfer_set: TransferSet,
        sight: Sight,
        stop: StopSignal,
        ranks: Ranks,
        batch_size: int,
        classes: int,
        *,
        embedding: bool = False,
        halvings: int = 0,
    ) -> None:
        self.embedding = embedding
        """Whether what networks say are embeddings."""
        self.transfer_set = transfer_set
        self.sight = sight
        """As the student sees it."""
        self._stop, self._ranks = stop, ranks
        at_once = min(max(batch_size, _BATCH), samples_at_once(transfer_set.units, classes))
        self._batch = max(at_once >> halvings, 1)

    def logits(self, network: nn.Module, part: str) -> Tensor:
        """Return a network's logits (N, C) on a part."""
        with evaluating(network):
            units = self.transfer_set.units
            return self.collect(lambda rows_B: units.among(rows_B, network(self.sight.plain(rows_B))), part)

    def collect(self, predict: Predict, part: str) -> Tensor:
        """Return what `predict` says (N, C) of a part's rows; each process of the job asks a share. Raises Stopped."""
        batches = torch.split(self.rows(part), self._batch)
        spread = len(batches) >= self._ranks.size  # else each has time for all
        mine = self._ranks.share(batches) if spread else batches

        def look() -> Tensor:
            found = []
            for rows_B in mine:
                self._stop.check()
                found.append(predict(rows_B))
            return torch.cat(found)

        said_NC = self._ranks.together(look)
        return self._ranks.gather(said_NC) if spread else said_NC

    def rows(self, part: str) -> Tensor:
        """Return a part's rows, on the device."""
        return self.transfer_set.rows[part].to(self.transfer_set.device)

    def labels(self, part: str) -> Tensor:
        """Return the labels (N,) of a part, on the device."""
        return self.transfer_set.labels_of(self.rows(part))

    def owners(self, part: str) -> Tensor:
        """Return which of the part's samples each unit (N,) is of."""
        return self.transfer_set.units.owners(self.rows(part))


def metrics(
    objective: Objective,
    student_NC: Tensor,
    teacher_NC: Tensor,
    labels_N: Tensor,
    position: Position,
    *,
    embedding: bool = False,
) -> dict[str, float]:
    """Return `loss`, `agreement` with the teacher and, where there are labels, `accuracy` and `nll`.

    `loss` is that of the terms that look at outputs, and is left out where there are none. Of an `embedding` the mean
    `cosine` to the teacher's, or of another width `spearman`, stands in place of the others.
    """
    known_N = labels_N >= 0
    labelled = int(known_N.sum())
    batch = Batch(
        student_NC,
        teacher_NC if objective.needs_outputs else None,
        labels_N,
        len(labels_N),
        labelled,
        position,
    )
    with torch.inference_mode():
        loss = objective.of_outputs(batch)
        found = {} if loss is None else {"loss": float(loss)}
        if embedding:
            return found | nearness(student_NC, teacher_NC)
        agreeing_N = student_NC.argmax(1) == teacher_NC.argmax(1)
    found["agreement"] = float(agreeing_N.double().mean())
    return found | (_against_labels(student_NC[known_N], labels_N[known_N]) if labelled else {})


def _against_labels(student_NC: Tensor, labels_N: Tensor) -> dict[str, float]:
    # The loss of student and control are of different objectives; this one can be compared.
    return {
        "accuracy": float((student_NC.argmax(1) == labels_N).double().mean()),
        "nll": calibration.negative_log_likelihood(student_NC.double(), labels_N),
    }
