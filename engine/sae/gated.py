"""Gated: Rajamanoharan et al. 2024, *Improving Dictionary Learning with Gated Sparse Autoencoders* (arXiv 2404.16014).

Shapes: B tokens of a batch, D = d_in, F = d_sae, V the entries whose gate is open (engine.sae.sparse.ragged).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import ALL, Sae, SaeSettings, StepLoss, variance_of
from engine.sae.sparse.products import decode, pre_acts_at
from engine.sae.sparse.ragged import above
from engine.sae.starts import start_of


class GatedSae(Sae):
    """f = H(π) · ReLU(exp(r_mag) · W_encᵀ(x - b_dec) + b_mag), with the gate π = W_encᵀ(x - b_dec) + b_enc.

    The gate says whether a feature is active, the second factor how much; they share directions (section 3.2), and the
    paper's b_gate is `b_enc` here.

    Loss (section 3.2): L = mean over tokens of ‖x - x̂(f)‖² + λ · ‖ReLU(π)‖₁ + ‖x - x̂_frozen(ReLU(π))‖², λ = `l1`,
    where x̂_frozen is the decoder without gradient. The gate's bias learns from the last two terms alone. Decoder rows
    have length 1. Differing from the paper, dead features are not resampled but get α · V · AuxK of π, V the mean of
    ‖x - mean(x)‖² (engine.sae.auxiliary), and the encoder begins with shorter columns: `start_of` (docs/log.md).
    """

    arch = "gated"
    l1_at_unit = 1 / 8
    lr_share = 0.4
    in_input_units = Sae.in_input_units | {"b_mag"}

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.r_mag = nn.Parameter(torch.zeros(settings.d_sae))
        self.b_mag = nn.Parameter(torch.zeros(settings.d_sae))

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Random unit rows; the encoder their transpose, shorter: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, share=1 / 2).length)

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """The magnitudes of which the gate, that is `pre_BC`, is open."""
        b_enc_C, r_mag_C, b_mag_C = (one_F[feature_C] for one_F in (self.b_enc, self.r_mag, self.b_mag))
        return ((pre_BC - b_enc_C) * r_mag_C.exp() + b_mag_C).relu() * (pre_BC > 0)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. While it learns, the gate's own ReLU is dense at first."""
        del y_BO
        gate_BF = self.product(x_BD)
        known_V, entries = above(gate_BF, 0.0)
        gate_V = pre_acts_at(x_BD, self.W_enc, self.b_enc, self.centre_D, entries, known_V)
        b_enc_V, r_mag_V, b_mag_V = (entries.of(one_F) for one_F in (self.b_enc, self.r_mag, self.b_mag))
        open_V = gate_V.relu()
        act_V = ((gate_V - b_enc_V) * r_mag_V.exp() + b_mag_V).relu() * (known_V > 0)
        error_BD = x_BD - decode(act_V, self.W_dec, entries) - self.b_dec
        squared_error, variance = error_BD.square().sum(), variance_of(x_BD)
        mse = squared_error / len(x_BD)
        l1 = open_V.sum() / len(x_BD)
        frozen_BD = decode(open_V, self.W_dec.detach(), entries) + self.b_dec.detach()
        frozen = (x_BD - frozen_BD).square().sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1 + frozen
        terms = {"mse": mse.detach(), "l1": l1.detach(), "frozen": frozen.detach()}
        if dead_F is not None:
            aux = auxiliary_loss(self, x_BD, gate_BF, error_BD.detach(), dead_F)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * variance / len(x_BD) * aux
        active_V = act_V.detach() > 0
        return StepLoss(total, terms, squared_error.detach(), variance, entries.fired(active_V), active_V.sum())
