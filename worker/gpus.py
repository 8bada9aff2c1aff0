"""The NVIDIA GPUs of this host, as the driver's own program tells; torch is never asked.

Where there is no such program, or it does not answer, there is nothing to tell.
"""

import csv
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from app.contract.workers import DeviceUse

_SECONDS = 10
_CUDA = "cuda:"
_FIELDS = ("index", "uuid", "name", "memory.used", "memory.total", "utilization.gpu")
_QUERY = f"--query-gpu={','.join(_FIELDS)}"
_GPU = re.compile(r"GPU (?P<index>\d+): .*\(UUID: (?P<uuid>GPU-[^)]+)\)")
_MIG = re.compile(r"\s+MIG .*\(UUID: (?P<uuid>MIG-[^)]+)\)")


@dataclass(frozen=True)
class Installed:
    """A GPU, and the devices that it is cut into (MIG), if it is."""

    index: str
    """In the order of the PCI bus."""
    uuid: str
    parts: tuple[str, ...] = ()
    """The UUIDs of its MIG devices; a program uses one of these, and not the whole."""


def installed() -> list[Installed]:
    """Return the GPUs of this host."""
    return parse_list(_said("--list-gpus"))


def parse_list(text: str) -> list[Installed]:
    """Return what `nvidia-smi --list-gpus` lists."""
    found: list[Installed] = []
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            found.append(Installed(gpu["index"], gpu["uuid"]))
        elif (part := _MIG.match(line)) and found:
            whole = found.pop()
            found.append(Installed(whole.index, whole.uuid, (*whole.parts, part["uuid"])))
    return found


def in_use(devices: Sequence[str]) -> list[DeviceUse]:
    """Return how those of a worker's devices (`cuda:<name>`) are used that are whole GPUs."""
    if not any(device.startswith(_CUDA) for device in devices):
        return []
    found = dict(parse_use(_said(_QUERY, "--format=csv,noheader,nounits")))
    known = installed()
    own = ((device, found.get(identity(device.removeprefix(_CUDA), known))) for device in devices)
    return [use.model_copy(update={"device": device}) for device, use in own if use]


def parse_use(text: str) -> list[tuple[str, DeviceUse]]:
    """Return (UUID, use) of each GPU that `nvidia-smi --query-gpu` tells of; what it does not tell ([N/A]) is None."""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return [_use(*row) for row in rows if len(row) == len(_FIELDS)]


def _use(index: str, uuid: str, name: str, used: str, total: str, busy: str) -> tuple[str, DeviceUse]:
    memory_used, memory_total = _number(used, 2**20), _number(total, 2**20)
    share = _number(busy, 1)
    return uuid, DeviceUse(
        device="",
        gpu=index,
        name=name,
        memory_used=memory_used,
        memory_total=memory_total,
        utilization=None if share is None else share / 100,
    )


def _number(text: str, unit: int) -> int | None:
    return int(text) * unit if text.isdecimal() else None


def identity(name: str, known: Sequence[Installed]) -> str:
    """Return one name for what CUDA_VISIBLE_DEVICES calls now by its number, now by a UUID or the beginning of one."""
    for gpu in known:
        if name == gpu.index:
            return gpu.parts[0] if gpu.parts else gpu.uuid
    uuids = [uuid for gpu in known for uuid in (gpu.uuid, *gpu.parts) if uuid.startswith(name)]
    return uuids[0] if len(uuids) == 1 else name


def _said(*arguments: str) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            [program, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
