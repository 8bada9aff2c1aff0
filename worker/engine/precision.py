"""The numbers that training computes with: float32, or bfloat16 where that pays."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def resolve(wanted: Literal["fp32", "bf16", "auto"], device: torch.device) -> Precision:
    """Return the precision in force; `auto` is bf16 on devices with matrix units for it.

    Looked up and not timed: two jobs on one machine must not differ by what else ran on it.
    """
    if wanted == "auto":
        return "bf16" if _has_matrix_units(device) else "fp32"
    return wanted


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Return the context of a student's forward pass: under bf16, matrix products and convolutions round to it.

    Weights, gradients, optimiser and losses stay float32 (mixed precision, Micikevicius et al. 2018; bfloat16 keeps
    float32's range, so no loss scaling is needed).
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _has_matrix_units(device: torch.device) -> bool:
    if device.type == "cuda":
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
