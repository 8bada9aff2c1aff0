"""Weights that a network has under several names, such as a language model's embeddings and its head."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from app.contract.architectures import Family
from worker.engine.networks import blueprint


def first_names(network: nn.Module) -> dict[str, str]:
    """Return, of weights that have several names, each name with the first one of the same weights."""
    found: dict[int, list[str]] = {}
    for name, weight in network.named_parameters(remove_duplicate=False):
        found.setdefault(id(weight), []).append(name)
    return {name: names[0] for names in found.values() if len(names) > 1 for name in names}


def needed(network: nn.Module, own: Mapping[str, Tensor], given: Iterable[str]) -> dict[str, Tensor]:
    """Return of a network's state dict what a file has to hold with these names: of equal weights one will do."""
    first, names = first_names(network), set(given)
    there = {first[name] for name in names & first.keys()}
    return {name: tensor for name, tensor in own.items() if name in names or first.get(name) not in there}


def stored(architecture: Family, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what of a state dict a file holds: of a language model each weight once, as the library has it."""
    first = first_names(blueprint.outline(architecture)) if architecture.predicts_tokens() else {}
    return {name: tensor for name, tensor in tensors.items() if first.get(name, name) == name}
