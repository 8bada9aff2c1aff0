"""The NVIDIA GPUs of this host, as the driver's own program tells; torch is never asked.

Where there is no such program, or it does not answer, there is nothing to tell.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS = 20
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
