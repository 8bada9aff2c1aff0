"""An ONNX model as a black box, run by onnxruntime. B = batch, C = classes."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from app.contract.architectures import Onnx
from worker.engine.failures import Refused
from worker.engine.files.onnx_file import OnnxFile

_FLOATS = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}


class Network(nn.Module):
    """Inputs (B, ...) to logits (B, C), computed on the CPU wherever the inputs lie. It has no parameters to torch.

    Raises Refused where onnxruntime is not installed, does not run the model, or the model is not of the family.
    """

    def __init__(self, family: Onnx, file: OnnxFile, threads: int) -> None:
        super().__init__()
        self._family = family
        self._session = _session(file.content, threads)
        self.input = _input(self._session.get_inputs(), family)
        self.output = _output(self._session.get_outputs(), family)
        if file.producers.get(self.output.name) == "Softmax" and family.gives == "logits":
            raise Refused(f"The output {self.output.name!r} comes out of a softmax: say gives='probabilities'.")

    @property
    def batch(self) -> int | None:
        """The only batch size that the model takes; None where any will do."""
        first = self.input.shape[0]
        return first if isinstance(first, int) else None

    @property
    def sample(self) -> tuple[int, ...] | None:
        """The shape of one sample, where the family or the model says it."""
        if self._family.sample is not None:
            return self._family.sample
        axes = tuple(self.input.shape[1:])
        return axes if all(isinstance(axis, int) for axis in axes) else None

    def forward(self, inputs: Tensor) -> Tensor:
        parts = torch.split(inputs.detach().to("cpu", _FLOATS[self.input.type]), self.batch or max(len(inputs), 1))
        answers_BC = torch.cat([self._answer(part) for part in parts])
        if self._family.gives == "probabilities":
            answers_BC = _logarithms(answers_BC)
        return answers_BC.to(inputs.device)

    def _answer(self, part: Tensor) -> Tensor:
        """Return what the output says (B, C) of at most one batch, filled up to the size that the model wants."""
        missing = (self.batch or len(part)) - len(part)
        filled = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
        try:
            [found] = self._session.run([self.output.name], {self.input.name: filled.contiguous().numpy()})
        except Exception as error:
            why = " ".join(str(error).split())
            raise Refused(f"The model fails on a batch of shape {tuple(filled.shape)}: {why}.") from error
        wanted = (len(filled), self._family.classes)
        if found.shape != wanted:
            raise Refused(f"The output {self.output.name!r} has the shape {found.shape} instead of {wanted}.")
        return torch.from_numpy(found).float()[: len(part)]


def _logarithms(probabilities_BC: Tensor) -> Tensor:
    totals_B = probabilities_BC.sum(1)
    if (probabilities_BC < 0).any() or ((totals_B - 1).abs() > 0.01).any():
        raise Refused("The output does not hold probabilities: they are negative, or do not sum to 1.")
    return probabilities_BC.clamp(min=torch.finfo(torch.float32).tiny).log()


def _session(content: bytes, threads: int) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong comes as an exception
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting must not burn a neighbour's core
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        why = " ".join(str(error).split())
        raise Refused(f"onnxruntime {runtime.__version__} cannot run the model: {why}.") from error
    session.disable_fallback()
    return session


def _runtime() -> ModuleType:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra that most jobs do without
    except ModuleNotFoundError as error:
        raise Refused("This worker cannot run ONNX models: install stillhouse[onnx].") from error
    runtime: ModuleType = onnxruntime
    return runtime


def _input(ports: list[Any], family: Onnx) -> Any:
    if len(ports) != 1:
        raise Refused(f"A teacher has one input, and the model has {len(ports)} ({_named(ports)}).")
    [port] = ports
    if port.type not in _FLOATS:
        raise Refused(f"The input {port.name!r} takes {port.type}; samples are floating-point numbers.")
    if not port.shape:
        raise Refused(f"The input {port.name!r} says no axes, so no batch of samples fits it.")
    axes = port.shape[1:]
    if family.sample is not None and not _admits(axes, family.sample):
        raise Refused(f"The input {port.name!r} takes samples of shape {tuple(axes)}, and sample says {family.sample}.")
    return port


def _admits(axes: list[int | str | None], shape: tuple[int, ...]) -> bool:
    return len(axes) == len(shape) and all(
        not isinstance(axis, int) or axis == size for axis, size in zip(axes, shape, strict=True)
    )


def _output(ports: list[Any], family: Onnx) -> Any:
    if family.output is not None:
        ports = [port for port in ports if port.name == family.output] or _no_such_output(ports, family.output)
    able = [port for port in ports if port.type in _FLOATS and _admits(port.shape[1:], (family.classes,))]
    if not able:
        raise Refused(f"No output gives a row of {family.classes} numbers (classes) for each sample: {_named(ports)}.")
    if len(able) > 1:
        raise Refused(f"Several outputs could be the answer ({_named(able)}): name one in the field output.")
    return able[0]


def _no_such_output(ports: list[Any], name: str) -> list[Any]:
    raise Refused(f"The model has no output {name!r}; it has {_named(ports)}.")


def _named(ports: list[Any]) -> str:
    return ", ".join(f"{port.name} {port.type} {tuple(port.shape)}" for port in ports[:20]) or "none"
