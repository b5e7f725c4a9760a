"""AuxK: dead features explain what living ones did not (Gao et al. 2024, section 2.4; docs/decisions/005).

Shapes: B tokens of a batch, O = d_out, F = d_sae, K entries per token, A dead features.
"""

from __future__ import annotations

import torch
from torch import Tensor

FULL_FROM = 1 / 32
"""Share of variance unexplained from which AuxK has its full weight: the weight itself, by default (docs/log.md)."""


def dead_entries(pre_BF: Tensor, dead_F: Tensor, k_aux: int) -> tuple[Tensor, Tensor]:
    """Return the largest `k_aux` pre-activations among each token's dead features, and their feature ids: [B, K]."""
    dead_A = dead_F.nonzero().squeeze(1)
    act_BK, place_BK = pre_BF.index_select(1, dead_A).topk(min(k_aux, len(dead_A)), dim=1, sorted=False)
    return act_BK, dead_A[place_BK]


def aux_share(squared_error: Tensor, variance: Tensor) -> Tensor:
    """Return the share of its weight that AuxK has, a scalar: 1 until less than FULL_FROM is unexplained.

    AuxK compares errors with each other, so its gradient grows without bound as they shrink: a nearly perfect
    dictionary would be disturbed by far more than dead features could add to it.
    """
    return (squared_error / (FULL_FROM * variance)).clamp_max(1.0)


def share_missed(error_BO: Tensor, guess_BO: Tensor) -> Tensor:
    """Return ‖e - ê‖² / ‖e‖² over the batch, a scalar."""
    missed, energy = (error_BO - guess_BO).square().sum(), error_BO.square().sum()
    # A perfect reconstruction leaves nothing to explain, and must not make the gradient 0 / 0.
    return torch.where(energy > 0, missed, 0.0) / torch.where(energy > 0, energy, 1.0)
