"""The last linear layers of a job's networks, which make logits of what they pool. C = classes, D = channels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from app.contract.architectures import Family
from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure
from worker.engine.taps.point import head_of

Network = tuple[Family, nn.Module]
Order = Sequence[int] | None


class Classifiers:
    """Found where they are asked for. Raises EngineFailure (invalid_spec) where a network has none."""

    def __init__(self, student: Network, teachers: Sequence[Network], orders: Sequence[Order]) -> None:
        """`orders`: where each of the student's classes stands among a teacher's."""
        self._student, self._teachers, self._orders = student, teachers, orders

    def of_student(self) -> str:
        """Return the path of the student's, which has biases."""
        path = _path("student", self._student)
        if self._student[1].get_submodule(path).bias is None:
            raise EngineFailure(FailureCode.INVALID_SPEC, "The student's classifier has no biases to take over.")
        return path

    def of_teacher(self, member: int) -> tuple[Tensor, Tensor]:
        """Return a teacher's weights (C, D) and biases (C,), in the student's order of classes."""
        network = self._teachers[member][1]
        head = network.get_submodule(_path("teacher", self._teachers[member]))
        assert isinstance(head, nn.Linear)
        weight_CD, bias_C = head.weight.detach().clone(), torch.zeros_like(head.weight[:, 0])
        if head.bias is not None:
            bias_C = head.bias.detach().clone()
        order = self._orders[member]
        return (weight_CD, bias_C) if order is None else (weight_CD[list(order)], bias_C[list(order)])


def _path(who: str, network: Network) -> str:
    path = head_of(network[1], network[0].classes)
    if path is None:
        text = f"The {who} has no linear classifier at its end, of which the other's could be made."
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
    return path
