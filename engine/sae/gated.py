"""Gated: Rajamanoharan et al. 2024, *Improving Dictionary Learning with Gated Sparse Autoencoders* (arXiv 2404.16014).

Shapes: B tokens of a batch, D = d_in, F = d_sae.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, positive_entries, variance_of


class GatedSae(Sae):
    """f = H(π) · ReLU(exp(r_mag) · W_encᵀ(x - b_dec) + b_mag), with the gate π = W_encᵀ(x - b_dec) + b_enc.

    The gate says whether a feature is active, the second factor how much; they share directions (section 3.2), and the
    paper's b_gate is `b_enc` here.

    Loss (section 3.2): L = mean over tokens of ‖x - x̂(f)‖² + λ · ‖ReLU(π)‖₁ + ‖x - x̂_frozen(ReLU(π))‖², λ = `l1`,
    where x̂_frozen is the decoder without gradient. The gate's bias learns from the last two terms alone. Decoder rows
    have length 1. Differing from the paper, dead features are not resampled but get α · V · AuxK of π, V the mean of
    ‖x - mean(x)‖² (engine.sae.auxiliary): 54 % of 1 024 features alive with one, 75 % with the other (docs/log.md).
    """

    arch = "gated"
    steered_by = ("l1",)
    l1_at_unit = 1 / 8
    lr_share = 0.4
    in_input_units = Sae.in_input_units | {"b_mag"}

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.r_mag = nn.Parameter(torch.zeros(settings.d_sae))
        self.b_mag = nn.Parameter(torch.zeros(settings.d_sae))

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The features whose gate is open and whose magnitude is positive."""
        return positive_entries(self._acts(self.pre_acts(x_BD)))

    def _acts(self, gate_BF: Tensor) -> Tensor:
        magnitude_BF = ((gate_BF - self.b_enc) * self.r_mag.exp() + self.b_mag).relu()
        return magnitude_BF * (gate_BF > 0)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. Dense: while it learns, the gate's own ReLU is not sparse."""
        del y_BO
        gate_BF = self.pre_acts(x_BD)
        acts_BF, open_BF = self._acts(gate_BF), gate_BF.relu()
        error_BD = x_BD - acts_BF @ self.W_dec - self.b_dec
        squared_error = error_BD.square().sum()
        variance = variance_of(x_BD)
        mse = squared_error / len(x_BD)
        l1 = open_BF.sum() / len(x_BD)
        frozen_BD = open_BF @ self.W_dec.detach() + self.b_dec.detach()
        frozen = (x_BD - frozen_BD).square().sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1 + frozen
        terms = {"mse": mse.detach(), "l1": l1.detach(), "frozen": frozen.detach()}
        if dead_F is not None:
            aux = auxiliary_loss(gate_BF, self.W_dec, error_BD.detach(), dead_F, self.settings.k_aux)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * variance / len(x_BD) * aux
        active_BF = acts_BF.detach() > 0
        return StepLoss(total, terms, squared_error.detach(), variance, active_BF.any(0), active_BF.sum())
