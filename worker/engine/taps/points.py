"""The short names of a network's taps; each family's file says where its own are."""

from collections.abc import Callable
from importlib import import_module

from torch import nn

from app.contract.architectures import Family
from worker.engine.taps.point import Point, head_of


def points_of(architecture: Family, network: nn.Module) -> dict[str, Point]:
    """Return the points of `stage:i`, `hidden:i` and `pooled`, as far as the network has them."""
    kind: str = architecture.kind  # type: ignore[attr-defined]  # each member of the union has one
    module = import_module(f"worker.engine.architectures.{kind}")
    own: Callable[[nn.Module], dict[str, Point]] | None = getattr(module, "points", None)
    found = own(network) if own else {}
    if architecture.gives_embeddings():
        return {**found, "pooled": Point("")}  # what it answers with, and no head is there
    head = head_of(network, architecture.classes)
    return found if "pooled" in found or head is None else {**found, "pooled": Point(head, "input")}
