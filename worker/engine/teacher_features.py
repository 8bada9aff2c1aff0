"""What teachers hold at their taps under any look. B = batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from app.contract.architectures import Family
from worker.engine.sight import Sight
from worker.engine.taps.feature import Feature
from worker.engine.taps.listener import Listener
from worker.engine.teacher import Teacher
from worker.engine.views import Look


class TeacherFeatures:
    """Teachers listened to: in evaluation mode, and out of autograd's sight."""

    def __init__(self, taps: Sequence[tuple[int, str]], members: Sequence[tuple[Family, nn.Module, Sight]]) -> None:
        """`taps`: member and name of each tap that is listened to."""
        self._members: dict[int, tuple[Listener, Sight]] = {}
        for number in sorted({member for member, _ in taps}):
            architecture, network, sight = members[number]
            names = [name for member, name in taps if member == number]
            self._members[number] = Listener(architecture, Teacher(network).network, names), sight

    def of(self, look: Look) -> Mapping[tuple[int, str], Feature]:
        """Return the features of a look by member and tap."""
        found: dict[tuple[int, str], Feature] = {}
        # Not inference mode, whose tensors nothing may be learnt against.
        with torch.no_grad():
            for number, (listener, sight) in self._members.items():
                _, features = listener(sight.of(look))
                found |= {(number, name): feature for name, feature in features.items()}
        return found
