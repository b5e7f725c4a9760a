"""One TopK autoencoder twice: monosem's trainer, and plain autograd over dense float32 tensors.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.jobs.train_settings import LR_AT_UNIT
from engine.runtime.devices import products_in_bfloat16
from engine.runtime.free_memory import keep_freed_memory
from engine.sae.base import SaeSettings
from engine.training.trainer import SaeTrainer, TrainerSettings
from tests.bench.timing import grouped

CPU = torch.device("cpu")
NEVER = 10**12


@dataclass(frozen=True)
class Size:
    """Widths and sparsity of an autoencoder, and tokens a step."""

    d_in: int
    d_sae: int
    k: int
    batch: int

    def __str__(self) -> str:
        return f"{self.d_in} to {grouped(self.d_sae)}, k {self.k}, batch {grouped(self.batch)}"


def default_products() -> str:
    """The dtype that `monosem train` makes its encoder's products in here."""
    return "bfloat16" if products_in_bfloat16("auto", CPU) else "float32"


def trainer_settings(size: Size, steps: int, products: str) -> TrainerSettings:
    """`monosem train`'s rules for that many steps, without the auxiliary loss: no feature ever counts as dead."""
    return TrainerSettings(
        arch="topk",
        sae=SaeSettings(d_in=size.d_in, d_sae=size.d_sae, k=size.k),
        lr=LR_AT_UNIT / (size.d_in * size.d_sae) ** 0.5,
        batch=size.batch,
        steps=steps,
        warmup=max(1, steps // 20),
        decay=max(1, steps // 2),
        dead_after=NEVER,
        seed=0,
        products=products,
    )


def started(settings: TrainerSettings, sample_ND: Tensor) -> SaeTrainer:
    """A trainer before its first step."""
    keep_freed_memory()  # as `monosem train` does
    trainer = SaeTrainer(settings, CPU)
    trainer.start(sample_ND)
    return trainer


class DenseTopK:
    """The same training without any of monosem's code: dense float32 products, gradients by autograd.

    Loss: Σ‖x - x̂‖² / Σ‖x - mean(x)‖². Then Adam behind clipping, the learning rate's rise and fall, decoder rows kept
    at length 1 with the gradient along them taken away.
    """

    def __init__(self, settings: TrainerSettings, weights: Mapping[str, NDArray[np.float32]], scale: float) -> None:
        """Begin where a trainer began: `weights` are for raw activations, `scale` is what it multiplies them by."""
        names = ("W_enc", "b_enc", "W_dec", "b_dec")
        start = {name: torch.from_numpy(weights[name]).clone() for name in names}
        for name in ("b_enc", "b_dec"):
            start[name] *= scale
        self.W_enc, self.b_enc, self.W_dec, self.b_dec = (torch.nn.Parameter(start[name]) for name in names)
        self.settings, self.scale, self.steps = settings, scale, 0
        parameters = [self.W_enc, self.b_enc, self.W_dec, self.b_dec]
        self.optimizer = torch.optim.Adam(parameters, lr=settings.lr, betas=(0.9, 0.999), fused=True)

    def step(self, x_BD: Tensor) -> float:
        """One optimizer step on raw activations; gives the loss before it."""
        x_BD = x_BD * self.scale
        # b_dec goes through the encoder by itself, so that no gradient of size [B, D] is made for x.
        pre_BF = x_BD @ self.W_enc + (self.b_enc - self.b_dec @ self.W_enc)
        act_BK, feature_BK = pre_BF.topk(self.settings.sae.needed_k(), dim=1)
        acts_BF = torch.zeros_like(pre_BF).scatter(1, feature_BK, act_BK.relu())
        error_BD = x_BD - self.b_dec - acts_BF @ self.W_dec
        loss = error_BD.square().sum() / (x_BD - x_BD.mean(0)).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        self._update()
        return loss.item()

    @torch.no_grad()
    def _update(self) -> None:
        gradient_FD = self.W_dec.grad
        assert gradient_FD is not None
        gradient_FD -= (gradient_FD * self.W_dec).sum(1, keepdim=True) * self.W_dec
        torch.nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
        self.optimizer.param_groups[0]["lr"] = self._lr()
        self.optimizer.step()
        self.W_dec /= self.W_dec.norm(dim=1, keepdim=True)
        self.steps += 1

    def _lr(self) -> float:
        s = self.settings
        rise = min(1.0, (self.steps + 1) / s.warmup)
        return s.lr * min(rise, (s.steps - self.steps) / s.decay)
