"""Gated: Rajamanoharan et al. 2024, *Improving Dictionary Learning with Gated Sparse Autoencoders* (arXiv 2404.16014).

Shapes: B tokens of a batch, D = d_in, F = d_sae.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, positive_entries


class GatedSae(Sae):
    """f = H(π) · ReLU(exp(r_mag) · W_encᵀ(x - b_dec) + b_mag), with the gate π = W_encᵀ(x - b_dec) + b_enc.

    The gate says whether a feature is active, the second factor how much; they share directions (section 3.2), and the
    paper's b_gate is `b_enc` here.

    Loss (section 3.2): L = mean over tokens of ‖x - x̂(f)‖² + λ · ‖ReLU(π)‖₁ + ‖x - x̂_frozen(ReLU(π))‖², λ = `l1`,
    where x̂_frozen is the decoder without gradient. The gate's bias learns from the last two terms alone. Decoder rows
    have length 1, and dead features are resampled, as in the ReLU autoencoder of 2023.
    """

    arch = "gated"
    steered_by = ("l1",)
    resamples = True
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

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float) -> StepLoss:
        """See the class. Dense: while it learns, the gate's own ReLU is not sparse."""
        del dead_F
        gate_BF = self.pre_acts(x_BD)
        acts_BF, open_BF = self._acts(gate_BF), gate_BF.relu()
        squared_error = (x_BD - acts_BF @ self.W_dec - self.b_dec).square().sum()
        mse = squared_error / len(x_BD)
        l1 = open_BF.sum() / len(x_BD)
        frozen_BD = open_BF @ self.W_dec.detach() + self.b_dec.detach()
        aux = (x_BD - frozen_BD).square().sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1 + aux
        active_BF = acts_BF.detach() > 0
        terms = {"mse": mse.detach(), "l1": l1.detach(), "aux": aux.detach()}
        return StepLoss(total, terms, squared_error.detach(), active_BF.any(0), active_BF.sum())
