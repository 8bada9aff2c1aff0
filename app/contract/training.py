"""How the student is trained: optimiser, batches, stopping."""

from typing import Annotated, Literal

from pydantic import Field

from app.contract.base import Contract
from app.contract.schedules import Cosine, LearningRate


class Sgd(Contract):
    """Stochastic gradient descent with momentum (torch.optim.SGD)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: LearningRate = Cosine(start=0.05)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0)


class AdamW(Contract):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019; torch.optim.AdamW)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: LearningRate = Cosine(start=5e-3)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)


Optimizer = Annotated[Sgd | AdamW, Field(discriminator="kind")]
_BATCH = 64
OPTIMIZERS: tuple[type[Sgd] | type[AdamW], ...] = (Sgd, AdamW)


class EarlyStopping(Contract):
    """Stop when the validation split shows no progress, and keep the best student."""

    monitor: Literal["loss", "accuracy", "agreement"] = "loss"
    """`loss`: the objective; `accuracy`: labels; `agreement`: same class as the teacher."""
    patience: int = Field(default=5, ge=1, le=10_000)
    """Evaluations (one an epoch) without progress before the training stops."""
    min_delta: float = Field(default=0.0, ge=0)
    """What counts as progress: a change larger than this."""


class Training(Contract):
    """The training loop's settings; each has a default that works."""

    epochs: int = Field(default=60, ge=1, le=100_000)
    batch_size: int | None = Field(default=None, ge=1, le=1_048_576)
    """Samples in one optimiser step; by default 64, or all where there are fewer."""
    accumulation: int = Field(default=1, ge=1, le=65_536)
    """Micro-batches into which each batch is cut; the gradients are those of the whole batch."""
    shuffle: bool = True
    """Draw a new order every epoch (from the seed); off keeps the order of the file."""
    optimizer: Optimizer = AdamW()
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """What the student's forward and backward passes compute with: `bf16` is mixed precision, weights and losses stay
    float32; `auto` takes it where the device computes in it (CUDA since Ampere, AMX, AVX512-BF16). Soft targets and
    evaluations are always float32."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Clip the gradient's global L2 norm to this."""
    early_stopping: EarlyStopping | None = None
    log_every: int = Field(default=20, ge=1, le=1_000_000)
    """Optimiser steps between two reported metrics."""
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """At least this many seconds between two checkpoints (0: after every epoch)."""

    def batch(self, rows: int) -> int:
        """Return the samples in one optimiser step where there are `rows` to train on."""
        return self.batch_size or min(_BATCH, max(rows, 1))

    def refuses_rows(self, rows: int) -> str | None:
        """Return why so many training samples are too few, or None."""
        if self.batch_size is None or self.batch_size <= rows:
            return None
        return f"a batch of {self.batch_size:,} is larger than the training part, which has {rows:,} samples"

    def refuses_devices(self, devices: int, rows: int) -> str | None:
        """Return why a batch of `rows` to train on cannot be shared out among so many devices, or None."""
        if devices <= self.batch(rows):
            return None
        return f"a batch of {self.batch(rows):,} samples cannot be shared out among {devices} devices"
