"""The numbers of the report. N = samples of the evaluated part, or their words, C = classes, G = generations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.architectures import Family
from app.contract.report import Confusion, EntityScores, Evaluated, Scores
from worker.engine.data.units import Samplewise
from worker.engine.evaluate import Evaluator
from worker.engine.inputs import StoredNetwork, TransferSet
from worker.engine.networks import blueprint, tied
from worker.engine.report import calibration
from worker.engine.report.confusion import confusion
from worker.engine.report.embedding_scores import embedding_scores
from worker.engine.report.entity_scores import entity_scores, names_entities
from worker.engine.report.latency import median_latency_ms
from worker.engine.teachers.targets import Targets
from worker.engine.views.sight import Sight

_ABOUT_CLASSES: dict[str, Any] = dict.fromkeys(
    ("accuracy", "agreement", "kl_to_teacher", "nll", "ece", "ece_scaled", "scaling_temperature")
)
_PREFERRED = ("test", "validation", "train")


def evaluated_on(transfer_set: TransferSet) -> Evaluated:
    """Return which part the report looks at: test, else validation, else train."""
    split = next(part for part in _PREFERRED if len(transfer_set.rows[part]))
    by_part = not isinstance(transfer_set.units, Samplewise)
    (labelled, unlabelled), (to_fit_on, _) = transfer_set.counts[split], transfer_set.counts["validation"]
    return Evaluated(
        split=split,
        samples=len(transfer_set.rows[split]),
        words=labelled + unlabelled if transfer_set.samples.kind == "words" else None,
        tokens=labelled if transfer_set.samples.kind == "text" and by_part else None,
        labelled=labelled,
        scaled_on="validation" if to_fit_on else split if labelled else None,
    )


@dataclass(frozen=True)
class Scorer:
    """Scores networks on one part, against one teacher."""

    evaluator: Evaluator
    targets: Targets
    teacher_sights: Sequence[Sight]
    where: Evaluated

    def teachers(self, stored: Sequence[StoredNetwork], architectures: Sequence[Family]) -> Scores:
        """Score the teachers, as one, by their stored logits; what they cost adds up."""
        costs = [
            self._cost(network.network, architecture, (network.parameters, network.bytes), sight)
            for network, architecture, sight in zip(stored, architectures, self.teacher_sights, strict=True)
        ]
        part, fitted = self._teacher_logits(self.where.split), self._teacher_logits(self.where.scaled_on)
        return self._score({name: _sum([cost[name] for cost in costs]) for name in costs[0]}, part, fitted)

    def student(self, network: nn.Module, architecture: Family) -> Scores:
        """Score a student or control."""
        part, fitted = self._logits(network, self.where.split), self._logits(network, self.where.scaled_on)
        return self._score(self._cost_of_student(network, architecture), part, fitted)

    def ensemble(self, networks: Sequence[nn.Module], architecture: Family) -> Scores:
        """Score students as one, by the mean of their probabilities; what they cost adds up."""
        costs = [self._cost_of_student(network, architecture) for network in networks]
        part, fitted = (
            mean_distribution([self._logits(network, where) for network in networks])
            for where in (self.where.split, self.where.scaled_on)
        )
        return self._score({name: _sum([cost[name] for cost in costs]) for name in costs[0]}, part, fitted)

    def _cost_of_student(self, network: nn.Module, architecture: Family) -> dict[str, Any]:
        stored = tied.stored(architecture, network.state_dict())
        size = sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
        return self._cost(network, architecture, (blueprint.size(architecture), size), self.evaluator.sight)

    def confusions(self, student: nn.Module) -> list[Confusion]:
        """Return which classes are taken for which: student against teacher, and both against the labels.

        Of embeddings nothing.
        """
        if self.evaluator.embedding:
            return []
        told_NC, labels_N = self._logits(student, self.where.split), self._labels(self.where.split)
        told_N, taught_N = told_NC.argmax(1), self._teacher_logits(self.where.split).argmax(1)
        classes = told_NC.shape[1]
        found = [confusion(taught_N, told_N, classes, "teacher", "student")]
        if self.where.labelled:
            found.append(confusion(labels_N, told_N, classes, "labels", "student"))
            found.append(confusion(labels_N, taught_N, classes, "labels", "teacher"))
        return found

    def _cost(self, network: nn.Module, architecture: Family, size: tuple[int, int], sight: Sight) -> dict[str, Any]:
        sample = sight.typical(self.evaluator.rows(self.where.split))
        return {
            "parameters": size[0],
            "bytes": size[1],
            "flops": blueprint.flops(architecture, sample),
            "latency_ms": median_latency_ms(network, sample),
        }

    def _score(self, cost: dict[str, Any], logits_NC: Tensor, fitted_NC: Tensor) -> Scores:
        teacher_NC, labels_N = self._teacher_logits(self.where.split), self._labels(self.where.split)
        if self.evaluator.embedding:
            return Scores(**_ABOUT_CLASSES, embedding=embedding_scores(logits_NC, teacher_NC), **cost)
        against = _against_labels(logits_NC, labels_N)
        return Scores(
            agreement=float((logits_NC.argmax(1) == teacher_NC.argmax(1)).double().mean()),
            kl_to_teacher=calibration.divergence(teacher_NC, logits_NC),
            **against,
            perplexity=math.exp(against["nll"]) if self.where.tokens else None,
            entities=self._entities(logits_NC, labels_N),
            **_scaled(logits_NC, labels_N, fitted_NC, self._labels(self.where.scaled_on)),
            **cost,
        )

    def _entities(self, logits_NC: Tensor, labels_N: Tensor) -> EntityScores | None:
        known_N, names = labels_N >= 0, self.evaluator.transfer_set.class_names
        if not known_N.any() or not names_entities(names):
            return None
        owners_N = self.evaluator.owners(self.where.split).cpu()[known_N]
        return entity_scores(logits_NC.argmax(1)[known_N], labels_N[known_N], owners_N, names)

    def _teacher_logits(self, part: str | None) -> Tensor:
        return self.evaluator.collect(self.targets.of_samples, part).cpu().double() if part else torch.empty(0)

    def _logits(self, network: nn.Module, part: str | None) -> Tensor:
        return self.evaluator.logits(network, part).cpu().double() if part else torch.empty(0)

    def _labels(self, part: str | None) -> Tensor:
        return self.evaluator.labels(part).cpu() if part else torch.empty(0, dtype=torch.int64)


def mean_distribution(logits_GNC: Sequence[Tensor]) -> Tensor:
    """Return the logarithm (N, C) of the mean of several networks' probabilities."""
    if not logits_GNC[0].numel():
        return logits_GNC[0]
    mean_NC = torch.stack([log_softmax(logits_NC, dim=1) for logits_NC in logits_GNC]).logsumexp(0)
    return mean_NC - math.log(len(logits_GNC))


def _sum(values: Sequence[Any]) -> Any:
    """Return the sum, or None where one of them is not known."""
    return None if None in values else sum(values)


def _against_labels(logits_NC: Tensor, labels_N: Tensor) -> dict[str, Any]:
    known_N = labels_N >= 0
    if not known_N.any():
        return {"accuracy": None, "nll": None, "ece": None, "reliability": None}
    logits_NC, labels_N = logits_NC[known_N], labels_N[known_N]
    return {
        "accuracy": float((logits_NC.argmax(1) == labels_N).double().mean()),
        "nll": calibration.negative_log_likelihood(logits_NC, labels_N),
        "ece": calibration.expected_calibration_error(logits_NC, labels_N),
        "reliability": calibration.reliability(logits_NC, labels_N),
    }


def _scaled(logits_NC: Tensor, labels_N: Tensor, fitted_NC: Tensor, fitted_labels_N: Tensor) -> dict[str, Any]:
    known_N, usable_N = labels_N >= 0, fitted_labels_N >= 0
    if not usable_N.any():
        return {"ece_scaled": None, "reliability_scaled": None, "scaling_temperature": None}
    temperature = calibration.scaling_temperature(fitted_NC[usable_N], fitted_labels_N[usable_N])
    if not known_N.any():
        return {"ece_scaled": None, "reliability_scaled": None, "scaling_temperature": temperature}
    scaled_NC, labels_N = logits_NC[known_N] / temperature, labels_N[known_N]
    return {
        "ece_scaled": calibration.expected_calibration_error(scaled_NC, labels_N),
        "reliability_scaled": calibration.reliability(scaled_NC, labels_N),
        "scaling_temperature": temperature,
    }
