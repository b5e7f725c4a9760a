"""AuxK: dead features explain what living ones did not (Gao et al. 2024, section 2.4; docs/decisions/005).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, K entries kept a token, A dead features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import Sae
from engine.sae.sparse.products import Kept, decode, pre_acts_at


def auxiliary_loss(sae: Sae, x_BD: Tensor, pre_BF: Tensor, error_BO: Tensor, dead_F: Tensor) -> Tensor:
    """‖e - ê‖² / ‖e‖² over the batch, ê from the `k_aux` dead features with the largest pre-activations, without ReLU.

    Args:
        sae: whose weights learn by it.
        x_BD: inputs, scaled.
        pre_BF: pre-activations of all features, which need no gradient.
        error_BO: e = x - x̂, detached.
        dead_F: True for dead features, at least one.
    """
    known_BK, feature_BK = dead_entries(pre_BF, dead_F, sae.settings.k_aux)
    entries = Kept(feature_BK, sae.settings.d_sae)
    act_BK = pre_acts_at(x_BD, sae.W_enc, sae.b_enc, sae.centre_D, entries, known_BK)
    return share_missed(error_BO, decode(act_BK, sae.W_dec, entries))


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
