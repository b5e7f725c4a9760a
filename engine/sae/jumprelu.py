"""JumpReLU: Rajamanoharan et al. 2024, *Jumping Ahead* (arXiv 2407.14435).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, positive_entries, variance_of

BANDWIDTH = 1.0
"""ε of the straight-through estimator, with inputs scaled so that a random direction of them has variance 1."""
START_THRESHOLD = 0.3
PULL = 1e-2
"""Weight of what draws dead features' thresholds down."""


class JumpReluSae(Sae):
    """f = z where z > θ, else 0, with z = W_encᵀ(x - b_dec) + b_enc and a learnt θ = `threshold` for each feature.

    Loss (section 3): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + S(L0) + α · AuxK (engine.sae.auxiliary). S = (L0 / k - 1)²
    where the aim is `k` active features (the paper's appendix on a target sparsity), and S = λ · L0 / d_in, λ = `l1`,
    where the penalty is fixed: with our inputs, the paper's ‖x - x̂‖² + λ · L0 divided by d_in. L0 is the batch's mean.

    θ gets its gradient by the paper's straight-through estimator (section 4) with a rectangular kernel K of width ε =
    BANDWIDTH: ∂f/∂θ = -θ/ε · K((z - θ)/ε), ∂H(z - θ)/∂θ = -1/ε · K((z - θ)/ε); z gets none from the penalty. Differing
    from the paper, θ itself is learnt and kept from falling below 0, not its logarithm, and dead features are helped:
    by AuxK, and by PULL · ReLU(θ - z), summed over them, which lowers a θ that no z comes near and that nothing else
    would move (after the pre-activation loss of Anthropic's Circuits Updates, January 2025; here θ alone learns by it).
    """

    arch = "jumprelu"
    steered_by = ("k", "l1")
    transcodes = True
    in_input_units = Sae.in_input_units | {"threshold"}

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.threshold = nn.Parameter(torch.full((settings.d_sae,), START_THRESHOLD))

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The features above their thresholds."""
        pre_BF = self.pre_acts(x_BD)
        return positive_entries(pre_BF.masked_fill(pre_BF <= self.threshold, 0.0))

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. Dense: a threshold learns from pre-activations on either side of it."""
        pre_BF = self.pre_acts(x_BD)
        acts_BF, active_BF = jump(pre_BF, self.threshold)
        y_BO = x_BD if y_BO is None else y_BO
        error_BO = y_BO - acts_BF @ self.W_dec - self.b_dec
        squared_error, variance = error_BO.square().sum(), variance_of(y_BO)
        unexplained = squared_error / variance
        penalty = self._penalty(active_BF.sum() / len(x_BD))
        terms = {"unexplained": unexplained.detach(), "penalty": penalty.detach()}
        total = unexplained + warmth * penalty
        if dead_F is not None:
            aux = auxiliary_loss(pre_BF, self.W_dec, error_BO.detach(), dead_F, self.settings.k_aux)
            pull = ((self.threshold - pre_BF.detach()).relu().sum(0) * dead_F).sum() / len(x_BD)
            terms |= {"aux": aux.detach(), "pull": pull.detach()}
            total = total + self.settings.aux_weight * aux + PULL * pull
        fired_BF = active_BF.detach() > 0
        return StepLoss(total, terms, squared_error.detach(), variance, fired_BF.any(0), fired_BF.sum())

    def _penalty(self, l0: Tensor) -> Tensor:
        if self.settings.k is not None:
            return (l0 / self.settings.k - 1).square()
        return self.settings.needed_l1() / self.settings.d_in * l0

    @torch.no_grad()
    def constrain(self) -> None:
        """Decoder rows of length 1, thresholds not below 0."""
        super().constrain()
        self.threshold.clamp_min_(0.0)


def jump(pre_BF: Tensor, threshold_F: Tensor) -> tuple[Tensor, Tensor]:
    """JumpReLU(z) and H(z - θ), both [B, F], with the straight-through gradients of the class above."""
    acts_BF, active_BF = _Jump.apply(pre_BF, threshold_F)  # type: ignore[no-untyped-call]
    return acts_BF, active_BF


class _Jump(Function):
    @staticmethod
    def forward(ctx: Any, pre_BF: Tensor, threshold_F: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(pre_BF, threshold_F)
        active_BF = (pre_BF > threshold_F).to(pre_BF.dtype)
        return pre_BF * active_BF, active_BF

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        acts_grad_BF, active_grad_BF = grads
        pre_BF, threshold_F = ctx.saved_tensors
        near_BF = (pre_BF - threshold_F).abs() < BANDWIDTH / 2
        by_threshold_BF = (threshold_F * acts_grad_BF + active_grad_BF) * near_BF
        return acts_grad_BF * (pre_BF > threshold_F), by_threshold_BF.sum(0) / -BANDWIDTH
