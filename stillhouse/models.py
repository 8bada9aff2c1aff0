"""Registered networks: `client.models`."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.contract.preprocessing import Preprocessing
from app.contract.registration import Described, HuggingFace
from app.contract.resources import File, Model, Page
from app.contract.states import InspectionState
from stillhouse import calls
from stillhouse.capturing import Captured, capture
from stillhouse.errors import ModelRejected
from stillhouse.files import Files
from stillhouse.pages import every, same
from stillhouse.sources import Weights, weights_file
from stillhouse.transport import Transport
from stillhouse.waiting import wait_until

if TYPE_CHECKING:
    from torch import Tensor

    from stillhouse.job import JobHandle

SETTLED = frozenset({InspectionState.READY, InspectionState.REJECTED})


class Models:
    """Networks that may teach."""

    def __init__(self, transport: Transport, files: Files) -> None:
        self._transport = transport
        self._files = files

    def create(
        self,
        weights: "Weights | Captured | File",
        *,
        architecture: Described | Mapping[str, Any] | None = None,
        example: "Tensor | tuple[Tensor, ...] | None" = None,
        key_map: Mapping[str, str] | None = None,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        wait: bool = True,
        timeout: float | None = 600,
    ) -> Model:
        """Upload weights, register them as a network, and wait until the service has inspected them.

        `weights`: a path (.safetensors, a state dict saved by torch.save, or an ONNX model), a torch.nn.Module, a state
        dict, or a file uploaded before; `architecture` says what network it is. A Hugging Face folder needs nothing
        more than its path: it brings architecture, tokenizer and names of classes (as an archive of your own it is
        `{"kind": "huggingface"}`). A module of your own needs an `example` instead, a batch of what it takes: it is
        captured (see `stillhouse.capture`, whose answer is taken here too). `key_map` renames parameter prefixes,
        yours -> the family's; without one an unambiguous match by order and shape is found. `preprocessing` says how a
        network reads texts: `{"kind": "words", "vocabulary": [...]}` or `{"kind": "tokenizer", "content": {...}}`, the
        content of tokenizer.json; or which pixels it takes: `{"kind": "image", "mean": [...], "std": [...]}`, without
        it from 0 to 1. `class_names` say what the outputs stand for, so that a transfer set may put the classes in
        another order. Raises ModelRejected with the problems found, and WaitTimeout after `timeout` seconds.
        """
        if example is not None:
            weights = capture(weights, example)  # type: ignore[arg-type]  # what is no module is refused there
        if isinstance(weights, Captured):
            architecture, weights = weights.description, weights.weights
        if architecture is None:
            architecture = _own_architecture(weights)
        file = weights if isinstance(weights, File) else self._upload(weights)
        model = self._transport.send(
            calls.register(
                "/v1/models",
                Model,
                file=file.id,
                architecture=architecture,
                key_map=key_map,
                preprocessing=preprocessing,
                class_names=class_names,
                name=name,
            )
        )
        return self.wait(model.id, timeout=timeout) if wait else model

    def of_job(
        self, job: "JobHandle | str", *, name: str | None = None, wait: bool = True, timeout: float | None = None
    ) -> Model:
        """Register a job's student as a network, to teach or to be taught further: jobs feed jobs.

        The job need not be over. With `wait`, return when its student is there and inspected (`timeout` in seconds,
        None: never); without, return at once: jobs that name the model wait for it.
        """
        identity = job if isinstance(job, str) else job.id
        model = self._transport.send(calls.register("/v1/models", Model, job=identity, name=name))
        return self.wait(model.id, timeout=timeout) if wait else model

    def wait(self, model: str | Model, *, timeout: float | None = 600) -> Model:
        """Return the model once it is ready; raise ModelRejected."""
        identity = identity_of(model)
        settled = wait_until(
            lambda: self.get(identity),
            lambda seen: seen.state in SETTLED,
            timeout,
            f"the inspection of {identity}",
        )
        if settled.state is InspectionState.REJECTED:
            raise ModelRejected(settled)
        return settled

    def get(self, model: str) -> Model:
        return self._transport.send(calls.get(f"/v1/models/{model}", Model))

    def list(self, *, limit: int = 100) -> Iterator[Model]:
        """Yield all models, newest first; `limit` is the size of a page."""
        return every(self._transport, "/v1/models", Page[Model], same, limit=limit)

    def rename(self, model: str | Model, name: str) -> Model:
        return self._transport.send(calls.change(f"/v1/models/{identity_of(model)}", Model, name=name))

    def delete(self, model: str | Model) -> None:
        self._transport.send(calls.delete(f"/v1/models/{identity_of(model)}"))

    def _upload(self, weights: Weights) -> File:
        with weights_file(weights) as path:
            return self._files.upload(path)


def identity_of(model: str | Model) -> str:
    return model if isinstance(model, str) else model.id


def _own_architecture(weights: Weights | File) -> HuggingFace:
    """Return what stands in for the architecture of a folder, which says it itself. Raises ValueError."""
    if isinstance(weights, str | PathLike) and Path(weights).is_dir():
        return HuggingFace()
    raise ValueError(
        "architecture is missing: it says what network the file holds; of a module of your own give an example instead"
    )
