"""ReLU with an L1 penalty weighted by decoder norms: Conerly et al. 2024, *Update on how we train SAEs* (Anthropic,
Circuits Updates, April 2024); the recipe of Templeton et al. 2024, *Scaling Monosemanticity*.

Shapes: B tokens of a batch, D = d_in, F = d_sae, V the entries that are positive (engine.sae.sparse.ragged).
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import Sae, StepLoss, variance_of
from engine.sae.sparse.products import decode, pre_acts_at
from engine.sae.sparse.ragged import above

START_NORM = 0.1


class L1NormSae(Sae):
    """f = ReLU(W_encᵀ(x - b_dec) + b_enc), decoder rows of any length. Its authors gave it no name; "L1 norm" is ours.

    Loss: L = mean over tokens of ‖x - x̂‖² + λ · Σ_i f_i · ‖W_dec[i]‖, λ = `l1`, warmed up over the first steps. The
    penalty cannot be escaped by longer rows, so they need no constraint; nothing is resampled. Rows begin at length
    0.1, the encoder as their transpose, b_enc at 0. Differing from its source, b_dec is taken from inputs as everywhere
    here, and begins at the mean.

    Saved, activations are multiplied by their row's length and rows brought to length 1: the same function of x.
    """

    arch = "l1-norm"

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Random rows of length 0.1, the encoder their transpose."""
        super().initialise(mean_D, generator, mean_O)
        self.W_dec.mul_(START_NORM)
        self.W_enc.mul_(START_NORM)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. While it learns, a ReLU autoencoder is dense at first."""
        del dead_F, y_BO
        known_V, entries = above(self.product(x_BD), 0.0)
        act_V = pre_acts_at(x_BD, self.W_enc, self.b_enc, self.centre_D, entries, known_V).relu()
        squared_error = (x_BD - decode(act_V, self.W_dec, entries) - self.b_dec).square().sum()
        mse = squared_error / len(x_BD)
        l1 = entries.totals(act_V) @ self.W_dec.norm(dim=1) / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1
        active_V = act_V.detach() > 0
        terms = {"mse": mse.detach(), "l1": l1.detach()}
        fired_F = entries.fired(active_V)
        return StepLoss(total, terms, squared_error.detach(), variance_of(x_BD), fired_F, active_V.sum())

    def project_gradient(self) -> None:
        """Nothing: the length of decoder rows is free."""

    def constrain(self) -> None:
        """Nothing: the length of decoder rows is free."""

    @torch.no_grad()
    def unscaled(self, scale: float, y_scale: float | None = None) -> dict[str, Tensor]:
        """The weights for raw inputs, with decoder rows of length 1 and activations in proportion."""
        weights = super().unscaled(scale, y_scale)
        length_F = self.W_dec.norm(dim=1).clamp_min(1e-12)
        return weights | {
            "W_enc": weights["W_enc"] * length_F,
            "b_enc": weights["b_enc"] * length_F,
            "W_dec": weights["W_dec"] / length_F[:, None],
        }
