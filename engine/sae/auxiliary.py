"""AuxK: dead features explain what living ones did not (Gao et al. 2024, section 2.4; docs/decisions/005).

Shapes: B tokens of a batch, O = d_out, F = d_sae, K entries kept a token, A dead features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import SparseActs, decode_sparse


def auxiliary_loss(pre_BF: Tensor, W_dec_FO: Tensor, error_BO: Tensor, dead_F: Tensor, k_aux: int) -> Tensor:
    """‖e - ê‖² / ‖e‖² over the batch, ê from the `k_aux` dead features with the largest pre-activations, without ReLU.

    Args:
        pre_BF: pre-activations of all features.
        W_dec_FD: decoder.
        error_BO: e = x - x̂, detached.
        dead_F: True for dead features, at least one.
        k_aux: dead features in one token's ê.
    """
    act_BK, feature_BK = dead_entries(pre_BF, dead_F, k_aux)
    return share_missed(error_BO, decode_sparse(SparseActs(act_BK, feature_BK), W_dec_FO))


def dead_entries(pre_BF: Tensor, dead_F: Tensor, k_aux: int) -> tuple[Tensor, Tensor]:
    """Pre-activations and numbers of each token's `k_aux` dead features with the largest ones."""
    dead_A = dead_F.nonzero().squeeze(1)
    act_BK, place_BK = pre_BF.index_select(1, dead_A).topk(min(k_aux, len(dead_A)), dim=1, sorted=False)
    return act_BK, dead_A[place_BK]


def share_missed(error_BO: Tensor, guess_BO: Tensor) -> Tensor:
    """‖e - ê‖² / ‖e‖² over the batch."""
    missed, energy = (error_BO - guess_BO).square().sum(), error_BO.square().sum()
    # A perfect reconstruction leaves nothing to explain, and must not make the gradient 0 / 0.
    return torch.where(energy > 0, missed, 0.0) / torch.where(energy > 0, energy, 1.0)
