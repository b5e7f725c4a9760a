"""Resampling of dead features by the recipe of Bricken et al. 2023 (appendix, "Neuron Resampling").

Shapes: N inputs, D = d_in, F = d_sae, A dead features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.sae.base import Sae

ENCODER_SHARE = 0.2
"""New encoder columns have this share of the living features' mean encoder norm."""


@torch.no_grad()
def resample(sae: Sae, optimizer: Optimizer, dead_F: Tensor, x_ND: Tensor, generator: torch.Generator) -> int:
    """Point each dead feature at an input that is badly reconstructed; gives how many there were.

    Inputs are drawn with probability proportional to the square of their loss. The decoder row becomes the input's
    direction (from b_dec) at length 1, the encoder column the same direction at 0.2 of the living ones' mean norm, what
    there is of one number a feature (biases, a gate's scale) 0, and Adam's moments of what was changed are cleared.
    """
    dead_A = dead_F.nonzero().squeeze(1)
    if not len(dead_A) or len(dead_A) == len(dead_F):
        return 0
    loss_N = (x_ND - sae(x_ND)).square().sum(1)
    weight_N = loss_N.cpu().double().square() + 1e-30
    if not weight_N.isfinite().all():  # a training that has diverged: its loop says so at the next log line
        return 0
    chosen = torch.multinomial(weight_N, len(dead_A), replacement=len(dead_A) > len(x_ND), generator=generator)
    rows_AD = x_ND[chosen.to(x_ND.device)] - sae.b_dec
    rows_AD = rows_AD / rows_AD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    living_norm = sae.W_enc[:, ~dead_F].norm(dim=0).mean()
    sae.W_dec[dead_A] = rows_AD
    sae.W_enc[:, dead_A] = rows_AD.T * living_norm * ENCODER_SHARE
    _clear(optimizer, sae.W_dec, (dead_A,))
    _clear(optimizer, sae.W_enc, (slice(None), dead_A))
    for one_F in (parameter for parameter in sae.parameters() if parameter.shape == dead_F.shape):
        if one_F is not sae.b_dec:
            one_F[dead_A] = 0.0
            _clear(optimizer, one_F, (dead_A,))
    return len(dead_A)


def _clear(optimizer: Optimizer, parameter: nn.Parameter, where: tuple[slice | Tensor, ...]) -> None:
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in optimizer.state[parameter]:
            optimizer.state[parameter][moment][where] = 0.0
