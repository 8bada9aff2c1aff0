"""All that a resume needs, in one named object: tensors and plain numbers, no pickle."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.engine.terms.objective import Objective
from worker.engine.training.curves import Curves

Tensors = dict[str, Tensor]


@dataclass
class Best:
    """The student that early stopping would keep."""

    epoch: int
    value: float
    weights: Tensors


@dataclass
class TrainState:
    """One training at a step boundary. The data's order needs no place: it follows from the step."""

    network: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    frozen: bool = False
    """Whether the network stays as it is, and only the objective learns."""
    step: int = 0
    """Optimiser steps made."""
    epoch: int = 0
    """Epochs closed: trained and evaluated."""
    stale: int = 0
    """Evaluations since the last progress."""
    best: Best | None = None
    seconds: float = 0.0
    """Wall-clock time of training so far."""
    curves: Curves = field(default_factory=Curves)

    def set_modes(self) -> None:
        """Put the network into the mode in which it is trained; a frozen one's dropout and batch norms stay still."""
        self.network.train(not self.frozen)

    def settle(self) -> None:
        """Put into the network what the objective holds for it; a frozen one stays as it is."""
        if not self.frozen:
            self.objective.settle(self.network)

    def tensors(self) -> Tensors:
        """Return every tensor under a flat name."""
        kept = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        kept |= {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            kept |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items() if value is not None}
        if self.best:
            kept |= {f"best.{name}": tensor for name, tensor in self.best.weights.items()}
        return kept | random_tensors()

    def numbers(self) -> dict[str, Any]:
        """Return everything else as plain data."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "stale": self.stale,
            "best": {"epoch": self.best.epoch, "value": self.best.value} if self.best else None,
            "seconds": self.seconds,
            "curves": self.curves.state(),
            "random": random_numbers(),
        }

    def restore(self, tensors: Tensors, numbers: Mapping[str, Any]) -> None:
        """Go back to what `tensors` and `numbers` described, random states included."""
        self.network.load_state_dict(under(tensors, "network"))
        self.objective.load_state_dict(under(tensors, "objective"))
        slots: dict[int, Tensors] = {}
        for name, tensor in under(tensors, "optimizer").items():
            number, _, slot = name.partition(".")
            slots.setdefault(int(number), {})[slot] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        parameters = [tensor for group in self.optimizer.param_groups for tensor in group["params"]]
        laid = {number: _laid_like(parameters[number], kept) for number, kept in slots.items()}
        self.optimizer.load_state_dict({"state": laid, "param_groups": groups})
        self.step, self.epoch, self.stale = numbers["step"], numbers["epoch"], numbers["stale"]
        self.seconds = numbers["seconds"]
        self.best = Best(**numbers["best"], weights=under(tensors, "best")) if numbers["best"] else None
        self.curves.restore(numbers["curves"])
        restore_random(tensors, numbers["random"])

    def weights(self) -> Tensors:
        """Return a copy of the network's weights on the CPU."""
        return _copied(self.network.state_dict())

    def learnt(self) -> Tensors:
        """Return a copy of what each loss has learnt, under the loss's name, on the CPU."""
        return _copied(self.objective.losses.state_dict())


def _copied(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def under(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Return the tensors below a prefix, without it."""
    dotted = prefix + "."
    return {name.removeprefix(dotted): tensor for name, tensor in tensors.items() if name.startswith(dotted)}


def _laid_like(parameter: Tensor, slots: Tensors) -> Tensors:
    # Files know no order in memory, and a fused optimiser takes for granted that slots have their parameter's.
    return {
        name: torch.empty_like(parameter, dtype=slot.dtype).copy_(slot) if slot.shape == parameter.shape else slot
        for name, slot in slots.items()
    }


def random_tensors() -> Tensors:
    """Return the states of all random numbers, as far as they are tensors."""
    states = {"random.torch": torch.get_rng_state()}
    # The words of the Mersenne twisters; what else they hold are numbers.
    states["random.python"] = torch.tensor(random.getstate()[1], dtype=torch.int64)
    states["random.numpy"] = torch.from_numpy(_numpy_state()[1].astype(np.int64))
    if torch.cuda.is_available():
        states["random.cuda.0"] = torch.cuda.get_rng_state()  # of the device that is used, whatever its number
    return states


def random_numbers() -> dict[str, Any]:
    """Return the rest of them."""
    version, _, gauss = random.getstate()
    name, _, position, has_gauss, cached = _numpy_state()
    return {"python": [version, gauss], "numpy": [name, int(position), int(has_gauss), float(cached)]}


def _numpy_state() -> tuple[str, NDArray[np.uint32], int, int, float]:
    state = np.random.get_state(legacy=True)
    assert isinstance(state, tuple)
    return state


def restore_random(tensors: Tensors, numbers: Mapping[str, Any]) -> None:
    """Let random numbers go on from these states."""
    torch.set_rng_state(tensors["random.torch"])
    version, gauss = numbers["python"]
    random.setstate((version, tuple(tensors["random.python"].tolist()), gauss))
    name, position, has_gauss, cached = numbers["numpy"]
    words = tensors["random.numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, words, position, has_gauss, cached))
    if "random.cuda.0" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda.0"])
