"""What a job ran on: hardware and versions."""

import platform
from importlib import metadata
from pathlib import Path

import torch

from app.contract.report import Hardware, PeakMemory
from worker.engine.training.precision import Precision

_PACKAGES = (
    "stillhouse", "torch", "numpy", "safetensors", "pydantic", "tokenizers", "textblob", "transformers", "timm",
    "onnxruntime",
)  # fmt: skip


def hardware(device: torch.device, processes: int = 1) -> Hardware:
    """Return the device, the threads and the processor; each process has a device of its own."""
    name = f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"
    return Hardware(device=name, devices=processes, threads=torch.get_num_threads(), processor=_processor())


def peak_memory(device: torch.device) -> PeakMemory:
    """Return the most memory that this process has held so far."""
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return PeakMemory(host=_peak_resident(), device=on_device)


def _peak_resident() -> int | None:
    # Not getrusage: its number survives an exec, and tells of whoever started this process.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None


def exactness(device: torch.device, precision: Precision, processes: int = 1) -> str:
    """Return what the bits of a training depend on beside its spec."""
    found = hardware(device)
    told = f"torch {torch.__version__}, {found.device}, {found.threads} threads, {found.processor}, {precision}"
    return told if processes == 1 else f"{told}, {processes} processes"


def versions() -> dict[str, str]:
    """Return the versions of what may change a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["torch"] = torch.__version__  # with its build: +cpu, +cu130
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
