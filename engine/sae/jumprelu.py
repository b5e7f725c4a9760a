"""JumpReLU: Rajamanoharan et al. 2024, *Jumping Ahead* (arXiv 2407.14435).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, V the selected entries (engine.sae.sparse.ragged).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from engine.sae.base import ALL, LossParts, Sae, SaeSettings, variance_of
from engine.sae.sparse.products import SparseEntries
from engine.sae.sparse.ragged import above
from engine.sae.starts import start_of

BANDWIDTH = 0.5
"""ε of the straight-through estimator, for inputs scaled so that a random direction has variance 1."""
PULL = 0.2
"""Strength that draws thresholds down where features do not fire, over all features: about as strong as the penalty
for an L0 a few hundredths above `k`."""
DEAD_PULL = 1e-2
"""The same strength, for each dead feature (docs/log.md)."""


class JumpReluSae(Sae):
    """f = z where z > θ, else 0, with z = W_encᵀ(x - b_dec) + b_enc and a learnt θ = `threshold` per feature.

    Loss (section 3): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + S(L0) + α · AuxK. S = (L0 / k - 1)² when `k` is given
    (the paper's appendix on a target sparsity); S = λ · L0 / d_in, λ = `l1`, when the penalty is fixed: with our
    inputs, the paper's ‖x - x̂‖² + λ · L0 divided by d_in. L0 is the batch's mean.

    θ gets its gradient by the paper's straight-through estimator (section 3, and why in section 4) with a rectangular
    kernel K of width ε = BANDWIDTH: ∂f/∂θ = -θ/ε · K((z - θ)/ε), ∂H(z - θ)/∂θ = -1/ε · K((z - θ)/ε); z gets none from
    the penalty.

    Differing from the paper, θ itself is learnt and clamped at 0, not its logarithm, and training starts with `k`
    features firing. Nothing would move a θ that no z comes near; so it is drawn down by a term Σ over features of
    u · θ · (1 - p), p the share of the batch's tokens that the feature fires on, without gradient, and u = PULL / F, or
    DEAD_PULL for dead features. Its gradient is that of u · mean ReLU(θ - z) (after the pre-activation loss of
    Anthropic's Circuits Updates, January 2025; here only θ learns from it).
    """

    arch = "jumprelu"
    dense_copies = 6
    in_input_units = Sae.in_input_units | {"threshold"}

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.threshold = nn.Parameter(torch.zeros(settings.n_features))

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random unit decoder rows, shorten the encoder, and set thresholds so that `k` features fire: `start_of`.

        `k_aux` replaces `k` where a penalty decides the sparsity.
        """
        super().initialise(mean_D, generator, mean_O)
        start = start_of(self.settings, (self.settings.k or self.settings.k_aux) / self.settings.d_sae)
        self.W_enc.mul_(start.length)
        self.threshold.fill_(start.threshold)

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """Return pre-activations above their thresholds, else 0."""
        return pre_BC.masked_fill(pre_BC <= self.threshold[feature_C], 0.0)

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        pre_BF = self.product(x_BD)
        # Below θ - ε/2 neither z nor θ gets a gradient.
        known_V, entries = above(pre_BF, self.threshold.detach() - BANDWIDTH / 2)
        pre_V = self.pre_acts_at(x_BD, entries, known_V)
        act_V, active_V = jump(pre_V, self.threshold, entries)
        error_BO = y_BO - self.decoded(act_V, entries) - self.b_dec
        squared_error, variance = error_BO.square().sum(), variance_of(y_BO)
        unexplained = squared_error / variance
        penalty = self._penalty(self.settings.shard.summed(active_V.sum()) / len(x_BD))
        pull = self._pull(1 - entries.scatter_sum(active_V.detach()) / len(x_BD), dead_F)
        total = unexplained + warmth * penalty + pull
        terms = {"unexplained": unexplained, "penalty": penalty, "pull": pull}
        fired_V, aux = active_V.detach() > 0, (pre_BF, self.settings.aux_weight)
        return LossParts(total, terms, error_BO, squared_error, variance, entries, fired_V, aux)

    def _penalty(self, l0: Tensor) -> Tensor:
        if self.settings.k is not None:
            return (l0 / self.settings.k - 1).square()
        return self.settings.needed_l1() / self.settings.d_in * l0

    def _pull(self, silent_F: Tensor, dead_F: Tensor | None) -> Tensor:
        weight_F = torch.full_like(silent_F, PULL / self.settings.d_sae)
        if dead_F is not None:
            weight_F = torch.where(dead_F, DEAD_PULL, weight_F)
        return self.settings.shard.summed((weight_F * silent_F) @ self.threshold)

    @torch.no_grad()
    def constrain(self) -> None:
        """Scale decoder rows to length 1 and clamp thresholds at 0."""
        super().constrain()
        self.threshold.clamp_min_(0.0)


def jump(pre_V: Tensor, threshold_F: Tensor, entries: SparseEntries) -> tuple[Tensor, Tensor]:
    """Return JumpReLU(z) and H(z - θ), both [V], with the straight-through gradients of `JumpReluSae`."""
    act_V, active_V = _Jump.apply(pre_V, threshold_F, entries)  # type: ignore[no-untyped-call]
    return act_V, active_V


class _Jump(Function):
    @staticmethod
    def forward(ctx: Any, pre_V: Tensor, threshold_F: Tensor, entries: SparseEntries) -> tuple[Tensor, Tensor]:
        ctx.entries = entries
        ctx.save_for_backward(pre_V, threshold_F)
        active_V = (pre_V > entries.gather(threshold_F)).to(pre_V.dtype)
        return pre_V * active_V, active_V

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        act_grad_V, active_grad_V = grads
        pre_V, threshold_F = ctx.saved_tensors
        threshold_V = ctx.entries.gather(threshold_F)
        near_V = (pre_V - threshold_V).abs() < BANDWIDTH / 2
        by_threshold_V = (threshold_V * act_grad_V + active_grad_V) * near_V
        return act_grad_V * (pre_V > threshold_V), ctx.entries.scatter_sum(by_threshold_V) / -BANDWIDTH, None
