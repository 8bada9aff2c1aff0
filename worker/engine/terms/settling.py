"""Terms of features made for one job: pairs of taps found in its networks, and checked on real shapes."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from app.contract.architectures import Family
from app.contract.joining import Misfit, joined, known
from app.contract.objectives import FeatureTerm, Term
from app.contract.states import FailureCode
from app.contract.students import FreshWeights, unstarted
from app.contract.taps import Tap, Unknown
from worker.engine import build
from worker.engine.failures import EngineFailure
from worker.engine.networks.modes import evaluating
from worker.engine.taps.feature import Feature
from worker.engine.taps.survey import survey
from worker.engine.teachers.teacher_features import Ears
from worker.engine.terms.classifiers import Classifiers, Order
from worker.engine.terms.joint import Joint, Setting
from worker.engine.views.augmented import Look
from worker.engine.views.sight import Sight

_PER_TOKEN = {"tokens", "attention", "qkv"}
_TRIED = 2
"""Samples of the pass on which shapes are seen."""
_SAMPLED, _BLOCK = 256, 32
"""Samples by which a term may know the teacher's features beforehand, and of them at a time."""


class Settler:
    """Makes the settings of a job's terms. Each network is surveyed once, by a pass over real samples."""

    def __init__(
        self,
        rows_N: Tensor,
        labels_N: Tensor,
        classes: int,
        student: tuple[Family, nn.Module, Sight],
        teachers: Sequence[tuple[Family, nn.Module, Sight]],
        orders: Sequence[Order],
    ) -> None:
        """`rows_N`: those to train on, on the CPU; `labels_N`: of the whole set, on the device.

        `orders`: where each of the student's classes stands among a teacher's.
        """
        self._rows_N = rows_N
        self._classifiers = Classifiers(student[:2], [teacher[:2] for teacher in teachers], orders)
        self._rows_B = rows_N[torch.arange(_TRIED) % len(rows_N)].to(labels_N.device)
        sampled = min(_SAMPLED, len(rows_N))
        self._sampled_B = rows_N[torch.arange(sampled) * len(rows_N) // sampled].to(labels_N.device)
        self._labels_N, self._classes = labels_N, classes
        self._student, self._teachers = student, teachers
        self._known: dict[int, list[Tap]] = {}

    def __call__(self, term: Term) -> Setting:
        """Return a term's setting. Raises EngineFailure (invalid_spec) where its taps are not there or do not fit."""
        found = self._joints(term) if isinstance(term, FeatureTerm) else {}
        given = self._labels_N, self._rows_N, self._classes
        return Setting(found, *given, self._taught, partial(self._peer, term), self._classifiers)

    def _peer(self, term: Term) -> nn.Module:
        architecture = self._student[0]
        if reason := unstarted(architecture, FreshWeights()):
            raise _failure(term, f"its peers start from fresh weights, and {reason}")
        return build.laid_out(build.network(architecture), architecture)

    def _taught(self, joints: Sequence[Joint]) -> Iterator[list[Feature]]:
        taps = list(dict.fromkeys((joint.member, joint.teacher.name) for joint in joints))
        ears = Ears(taps, self._teachers)
        for rows_B in torch.split(self._sampled_B, _BLOCK):
            found = ears.hear(Look(rows_B))
            yield [found[joint.member, joint.teacher.name] for joint in joints]

    def _joints(self, term: FeatureTerm) -> dict[str, tuple[Joint, ...]]:
        if term.member >= len(self._teachers):
            raise _failure(term, f"there is no teacher {term.member}, counted from 0")
        try:
            found = joined(term, known(self._taps(self._teachers[term.member])), known(self._taps(self._student)))
        except (Unknown, Misfit) as refusal:
            raise _failure(term, str(refusal)) from None
        joints = {
            role: tuple(Joint(teacher, student, share, term.member) for teacher, student, share in pairs)
            for role, pairs in found.items()
        }
        for joint in (joint for made in joints.values() for joint in made):
            if reason := self._misread(term, joint):
                raise _failure(term, reason)
        return joints

    def _misread(self, term: FeatureTerm, joint: Joint) -> str | None:
        """Return why a pair cannot go token by token, or None."""
        alike = self._teachers[joint.member][2] is self._student[2]
        if term.joins == "free" or joint.teacher.layout not in _PER_TOKEN or None not in joint.teacher.shape or alike:
            return None
        return f"'{joint.student.name}' goes token by token, and teacher and student read other tokens"

    def _taps(self, member: tuple[Family, nn.Module, Sight]) -> list[Tap]:
        architecture, network, sight = member
        if id(network) not in self._known:
            with evaluating(network):
                self._known[id(network)] = survey(architecture, network, sight.plain(self._rows_B))
        return self._known[id(network)]


def _failure(term: Term, reason: str) -> EngineFailure:
    return EngineFailure(FailureCode.INVALID_SPEC, f"{term.title} cannot be used here: {reason}.")
