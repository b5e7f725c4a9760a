"""Gated: Rajamanoharan et al. 2024, *Improving Dictionary Learning with Gated Sparse Autoencoders* (arXiv 2404.16014).

Shapes: B tokens of a batch, D = d_in, F = d_sae, V the entries with an open gate (engine.sae.sparse.ragged).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.sae.base import ALL, LossParts, Sae, SaeSettings, variance_of
from engine.sae.sparse.ragged import above
from engine.sae.starts import start_of


class GatedSae(Sae):
    """f = H(π) · ReLU(exp(r_mag) · W_encᵀ(x - b_dec) + b_mag), with the gate π = W_encᵀ(x - b_dec) + b_enc.

    The gate decides whether a feature is active, the second factor how strongly; both use the same directions (section
    3.2). The paper's b_gate is `b_enc` here.

    Loss (section 3.2): L = mean over tokens of ‖x - x̂(f)‖² + λ · ‖ReLU(π)‖₁ + ‖x - x̂_frozen(ReLU(π))‖², λ = `l1`,
    where x̂_frozen is the decoder without gradient. The gate's bias learns from the last two terms alone. Decoder rows
    have length 1. Differing from the paper, dead features are not resampled but get α · V · AuxK on π, V the mean of
    ‖x - mean(x)‖², and the encoder starts with shorter columns: `start_of` (docs/log.md).
    """

    arch = "gated"
    dense_copies = 8
    l1_at_unit = 1 / 8
    lr_share = 0.4
    in_input_units = Sae.in_input_units | {"b_mag"}

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.r_mag = nn.Parameter(torch.zeros(settings.n_features))
        self.b_mag = nn.Parameter(torch.zeros(settings.n_features))

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random unit decoder rows; the encoder is their transpose, shortened: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, share=1 / 2).length)

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """Return the magnitudes where the gate, `pre_BC`, is open, else 0."""
        b_enc_C, r_mag_C, b_mag_C = (one_F[feature_C] for one_F in (self.b_enc, self.r_mag, self.b_mag))
        return ((pre_BC - b_enc_C) * r_mag_C.exp() + b_mag_C).relu() * (pre_BC > 0)

    def reach(self, norm: float) -> Tensor:
        """Return each feature's magnitude on an input of this norm along its encoder column."""
        reach_F: Tensor = self.W_enc.norm(dim=0) * norm * self.r_mag.exp() + self.b_mag.relu()
        return reach_F

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        """At first most gates are open, so that the entries are dense."""
        del y_BO, dead_F
        gate_BF = self.product(x_BD)
        known_V, entries = above(gate_BF, 0.0)
        gate_V = self.pre_acts_at(x_BD, entries, known_V)
        b_enc_V, r_mag_V, b_mag_V = (entries.gather(one_F) for one_F in (self.b_enc, self.r_mag, self.b_mag))
        open_V = gate_V.relu()
        act_V = ((gate_V - b_enc_V) * r_mag_V.exp() + b_mag_V).relu() * (known_V > 0)
        error_BD = x_BD - self.decoded(act_V, entries) - self.b_dec
        squared_error, variance = error_BD.square().sum(), variance_of(x_BD)
        mse = squared_error / len(x_BD)
        l1 = self.settings.shard.summed(open_V.sum()) / len(x_BD)
        frozen_BD = self.decoded(open_V, entries, self.W_dec.detach()) + self.b_dec.detach()
        frozen = (x_BD - frozen_BD).square().sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1 + frozen
        terms = {"mse": mse, "l1": l1, "frozen": frozen}
        # The other terms are in units of ‖x‖², AuxK is a share: the variance per token converts it.
        aux = (gate_BF, self.settings.aux_weight * variance / len(x_BD))
        return LossParts(total, terms, error_BD, squared_error, variance, entries, act_V.detach() > 0, aux)
