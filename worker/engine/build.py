"""From the spec to live objects. A kind's file is found by its name: adding a method or family means adding a file."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from app.contract.architectures import Family
from app.contract.objectives import ObjectiveTerm
from app.contract.objectives.names import names_of
from app.contract.preprocessing import Preprocess
from app.contract.states import FailureCode
from app.contract.training import Optimizer
from app.contract.transfer import Format, Splits
from worker.engine.data.content import Content
from worker.engine.failures import EngineFailure
from worker.engine.terms.joint import Joint, Setting
from worker.engine.terms.objective import Objective
from worker.engine.views.encoding import Encoder

_FUSED = {"cpu", "cuda"}
_OPTIMIZERS: dict[str, type[torch.optim.SGD] | type[torch.optim.AdamW]] = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
}


def device(wanted: str, processes: int = 1) -> torch.device:
    """Return the device of a spec's word; `auto` is CUDA where there is one. Each of the processes has its own."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EngineFailure(FailureCode.DEVICE_UNAVAILABLE, "The job asks for CUDA, and this host has no CUDA device.")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and torch.cuda.device_count() < processes:
        text = f"The job asks for {processes} devices, and sees {torch.cuda.device_count()} of CUDA here."
        raise EngineFailure(FailureCode.DEVICE_UNAVAILABLE, text)
    return torch.device(wanted)


def network(architecture: Family) -> nn.Module:
    """Return a freshly initialised network; its values come from torch's global generator."""
    built: nn.Module = import_module(f"worker.engine.architectures.{_kind(architecture)}").Network(architecture)
    return built


def laid_out(network: nn.Module, architecture: Family) -> nn.Module:
    """Return a network that is to be trained, its weights in the order in memory with which its family is fastest."""
    if architecture.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's hints forget it
    return network


def read(path: Path, form: Format, splits: Splits) -> Content:
    """Read and check the file of a transfer set. Raises Refused where there is not even a sample to look at."""
    reader = import_module(f"worker.engine.transfer_sets.{form.kind}")
    content: Content = reader.read(path, form, splits) if form.fitted else reader.read(path, form)
    return content


def encoder(settings: Preprocess) -> Encoder:
    """Return what numbers the tokens of texts. Raises Refused where the settings cannot be used."""
    kind: str = settings.kind  # type: ignore[attr-defined]  # each member of the union has one
    made: Encoder = import_module(f"worker.engine.preprocessing.{kind}").Encoder(settings)
    return made


def objective(terms: Sequence[ObjectiveTerm], settle: Callable[[ObjectiveTerm], Setting] | None = None) -> Objective:
    """Return the objective; a kind that occurs twice is numbered from the second on.

    `settle` tells the setting of a term whose loss is made for one job.
    """
    losses: dict[str, nn.Module] = {}
    joints: list[Joint] = []
    for name, term in zip(names_of(terms), terms, strict=True):
        made = import_module(f"worker.engine.objectives.{term.kind}").Loss
        if not term.settled:
            losses[name] = made(term)
            continue
        assert settle is not None
        setting = settle(term)
        losses[name] = made(term, setting)
        joints += [joint for found in setting.joints.values() for joint in found]
    return Objective(terms, losses, joints)


def optimizer(settings: Optimizer, parameters: Iterable[nn.Parameter], where: torch.device) -> torch.optim.Optimizer:
    """Return the optimiser, fused where torch has such a kernel. The loop sets its learning rate before each step."""
    # Every field of the contract but these two is the argument of the same name in torch.optim.
    arguments = settings.model_dump(exclude={"kind", "learning_rate"})
    try:
        return _OPTIMIZERS[settings.kind](list(parameters), lr=0.0, fused=where.type in _FUSED, **arguments)
    except ValueError as error:
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The optimiser refuses its settings: {error}.") from error


def _kind(architecture: Family) -> str:
    kind: str = architecture.kind  # type: ignore[attr-defined]  # each member of the union has one
    return kind
