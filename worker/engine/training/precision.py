"""The numbers that training computes with: float32, or bfloat16 where that pays."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def resolve(wanted: Literal["fp32", "bf16", "auto"], device: torch.device) -> Precision:
    """Return the precision in force; `auto` is bf16 on devices that compute in it (benchmarks/precision.py).

    Looked up and not timed: two jobs on one machine must not differ by what else ran on it.
    """
    if wanted == "auto":
        return "bf16" if _computes_in_bf16(device) else "fp32"
    return wanted


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Return the context of a student's forward pass: under bf16, matrix products and convolutions round to it.

    Weights, gradients, optimiser and losses stay float32 (mixed precision, Micikevicius et al. 2018; bfloat16 keeps
    float32's range, so no loss scaling is needed).
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _computes_in_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
