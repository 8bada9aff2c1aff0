"""What a student's training starts from: fresh weights, stored ones, or layers of the teacher."""

from collections.abc import Mapping

from torch import Tensor, nn

from app.contract.states import FailureCode
from app.contract.students import Student, TeacherLayers
from worker.engine.failures import EngineFailure
from worker.engine.networks.fit import listed


def initialise(network: nn.Module, student: Student, stored: nn.Module | None, teacher: nn.Module) -> None:
    """Put into a fresh network what it should start from. Raises EngineFailure where a layer does not fit."""
    start = student.start()
    if isinstance(start, TeacherLayers):
        own = network.state_dict()
        network.load_state_dict(own | layers(own, teacher.state_dict(), start.layers))
    elif start.kind == "stored":
        assert stored is not None  # the contract wants a model where weights are to be stored ones
        network.load_state_dict(stored.state_dict())


def layers(own: Mapping[str, Tensor], teacher: Mapping[str, Tensor], chosen: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the teacher's tensors under the student's names. Raises EngineFailure, naming what does not fit."""
    found: dict[str, Tensor] = {}
    problems: list[str] = []
    for prefix, origin in chosen.items():
        below = [name for name in own if _covers(prefix, name)]
        if not below:
            problems.append(f"the student has no tensors under {prefix!r}")
        for name in below:
            source = _moved(name, prefix, origin)
            if source not in teacher:
                problems.append(f"the teacher has no tensor {source!r} for the student's {name!r}")
            elif teacher[source].shape != own[name].shape:
                shapes = f"{tuple(teacher[source].shape)} instead of {tuple(own[name].shape)}"
                problems.append(f"the teacher's {source!r} has the shape {shapes} of the student's {name!r}")
            else:
                found[name] = teacher[source]
    if problems:
        text = f"The student cannot start from the teacher's layers: {listed(problems)}."
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
    return found


def _covers(prefix: str, name: str) -> bool:
    return not prefix or name == prefix or name.startswith(prefix + ".")


def _moved(name: str, prefix: str, origin: str) -> str:
    rest = name[len(prefix) :].removeprefix(".")
    return ".".join(part for part in (origin, rest) if part)
