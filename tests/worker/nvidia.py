"""`nvidia-smi` as hosts with GPUs have it: a program that answers what theirs was seen to answer."""

import os
from pathlib import Path

import pytest

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-2a1f3c5e-8d61-4b1b-9c07-35e1f6ad0c11)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-7b9d0e42-03c8-5a57-8f3e-91c6b0e2d722)
"""
FOUR = "".join(f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: GPU-{number}a1f3c5e)\n" for number in range(4))
USED = """\
0, GPU-2a1f3c5e-8d61-4b1b-9c07-35e1f6ad0c11, NVIDIA H100 80GB HBM3, 61035, 81559, 97
1, GPU-7b9d0e42-03c8-5a57-8f3e-91c6b0e2d722, NVIDIA H100 80GB HBM3, [N/A], 81559, [Not Supported]
"""
CUT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/2/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-0c3e2f6a-9a0b-4d5e-8b1c-2f7d6e5c4b3a)
"""
_PROGRAM = """\
#!/bin/sh
case "$1" in
--list-gpus) cat "$0.list" ;;
--query-gpu=*) cat "$0.query" ;;
*) echo "invalid argument $1"; exit 6 ;;
esac
"""


def search_path(folder: Path, listed: str, queried: str = "") -> str:
    """Install the program into a folder; return a PATH that finds it."""
    program = folder / "nvidia-smi"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    (folder / "nvidia-smi.list").write_text(listed)
    (folder / "nvidia-smi.query").write_text(queried)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, listed: str, visible: str | None = None) -> None:
    """Let this process find the program, and see these devices (None: all)."""
    monkeypatch.setenv("PATH", search_path(folder, listed))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
