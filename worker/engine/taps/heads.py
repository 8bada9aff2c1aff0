"""Attention caught where it is computed, whichever library computes it.

B = batch, A = heads, L = tokens, D = channels of a head.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from worker.engine.taps.feature import Feature

_ATTENTION = (scaled_dot_product_attention, torch.ops.aten.scaled_dot_product_attention.default)


@dataclass(frozen=True, slots=True)
class Heads:
    """What one call of scaled dot-product attention was given."""

    query_BALD: Tensor
    key_BALD: Tensor
    value_BALD: Tensor
    mask: Tensor | None = None
    """As torch takes it: bool, or numbers that are added to the scores."""
    causal: bool = False
    scale: float | None = None

    def unusable(self, samples: int, *, qkv: bool = False) -> str | None:
        """Return why this is not the attention (or queries, keys and values) of so many samples, or None."""
        shapes = {tuple(part.shape) for part in (self.query_BALD, self.key_BALD, self.value_BALD)}
        if self.query_BALD.dim() != 4 or len(self.query_BALD) != samples:
            return f"its queries have the shape {tuple(self.query_BALD.shape)}, and not one matrix a sample and head"
        if qkv and len({(len(shape), shape[-2:]) for shape in shapes}) > 1:
            return "queries, keys and values differ in their numbers of tokens or channels"
        return None

    def attention(self, mask_BL: Tensor | None) -> Feature:
        """Return the scores before the softmax (B, A, L, L), and which of them count: none of padding."""
        scale = self.scale if self.scale is not None else 1 / math.sqrt(self.query_BALD.shape[-1])
        scores_BALL = (self.query_BALD @ self._every_head(self.key_BALD).transpose(-2, -1)) * scale
        mask = self.mask
        if self.causal:
            mask = torch.ones(scores_BALL.shape[-2:], dtype=torch.bool, device=scores_BALL.device).tril()[None, None]
        if mask is not None and mask.dtype != torch.bool:
            seen = mask > torch.finfo(mask.dtype).min / 2
            scores_BALL, mask = scores_BALL + mask.where(seen, 0.0), seen
        if mask_BL is not None and scores_BALL.shape[-2:] == (mask_BL.shape[1],) * 2:
            real_BALL = mask_BL[:, None, :, None] & mask_BL[:, None, None, :]
            mask = real_BALL if mask is None else mask & real_BALL
        if mask is not None:
            axes = (None,) * (4 - mask.dim())
            mask = mask[axes].expand(len(scores_BALL), -1, -1, -1)
        return Feature(scores_BALL, "attention", mask)

    def qkv(self, mask_BL: Tensor | None) -> Feature:
        """Return queries, keys and values (B, 3, A, L, D); keys and values that heads share are repeated."""
        three = (self.query_BALD, self._every_head(self.key_BALD), self._every_head(self.value_BALD))
        return Feature(torch.stack(three, dim=1), "qkv", mask_BL)

    def _every_head(self, shared_BALD: Tensor) -> Tensor:
        times = self.query_BALD.shape[1] // shared_BALD.shape[1]
        return shared_BALD if times == 1 else shared_BALD.repeat_interleave(times, dim=1)


class HeadsListener(TorchFunctionMode):
    """Keeps what the calls of these numbers were given, in the order of the forward pass; all calls where None."""

    def __init__(self, wanted: Iterable[int] | None = None) -> None:
        super().__init__()
        self._wanted = None if wanted is None else frozenset(wanted)
        self.heard: dict[int, Heads] = {}
        self._calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _ATTENTION:
            if self._wanted is None or self._calls in self._wanted:
                self.heard[self._calls] = _heads(*args, **given)
            self._calls += 1
        elif func is torch.nn.functional.multi_head_attention_forward:
            with self:  # which calls the attention itself
                return func(*args, **given)
        return func(*args, **given)


def _heads(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001 - named as torch names them
    is_causal: bool = False,  # noqa: FBT001, FBT002
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001, FBT001, FBT002
) -> Heads:
    return Heads(query, key, value, attn_mask, is_causal, scale)
