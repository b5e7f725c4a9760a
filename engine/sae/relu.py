"""ReLU autoencoders with an L1 penalty: with decoder rows of length 1, and with rows of any length.

Shapes: B tokens of a batch, D = d_in, F = d_sae, V the positive entries (engine.sae.sparse.ragged).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.sae.base import LossParts, Sae, variance_of
from engine.sae.sparse.products import SparseEntries
from engine.sae.sparse.ragged import above
from engine.sae.starts import start_of

START_NORM = 0.1
"""Length of the L1-norm autoencoder's first decoder rows."""


class ReluSae(Sae):
    """f = ReLU(W_encᵀ(x - b_dec) + b_enc), decoder rows of length 1. Bricken et al. 2023, *Towards Monosemanticity*.

    Loss: L = mean over tokens of ‖x - x̂‖² + λ·‖f‖₁, λ = `l1`. As in the paper (appendix, "Autoencoder Training"),
    the gradient's component along each decoder row is removed before Adam's step, rows are scaled back to length 1
    after it, and silent features are resampled on schedule (engine.training.optim). The encoder starts with
    shorter columns than the paper's: `start_of`.
    """

    arch = "relu"
    dense_copies = 5
    resamples = True

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random unit decoder rows; the encoder is their transpose, shortened: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, share=1 / 2).length)

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        del y_BO, dead_F
        return _penalised(self, x_BD, warmth, lambda act_V, _: act_V.sum())


class L1NormSae(Sae):
    """f = ReLU(W_encᵀ(x - b_dec) + b_enc), decoder rows of any length; the name "L1 norm" is ours.

    Conerly et al. 2024, *Update on how we train SAEs* (Anthropic, Circuits Updates, April 2024); the recipe of
    Templeton et al. 2024, *Scaling Monosemanticity*.

    Loss: L = mean over tokens of ‖x - x̂‖² + λ · Σ_i f_i · ‖W_dec[i]‖, λ = `l1`, warmed up over the first steps. Longer
    rows cannot reduce the penalty, so rows are not constrained; nothing is resampled. Rows start at length 0.1, the
    encoder as their transpose, b_enc at 0. Differing from its source, b_dec is subtracted from the inputs, as
    everywhere here, and starts at their mean.

    When saved, features are multiplied by the lengths of their rows and rows scaled to length 1: the same function.
    """

    arch = "l1-norm"
    dense_copies = 5

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random decoder rows of length 0.1; the encoder is their transpose."""
        super().initialise(mean_D, generator, mean_O)
        self.W_dec.mul_(START_NORM)
        self.W_enc.mul_(START_NORM)

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        del y_BO, dead_F
        return _penalised(
            self, x_BD, warmth, lambda act_V, entries: entries.scatter_sum(act_V) @ self.W_dec.norm(dim=1)
        )

    def project_gradient(self) -> None:
        """Do nothing: decoder rows may have any length."""

    def constrain(self) -> None:
        """Do nothing: decoder rows may have any length."""

    @torch.no_grad()
    def unscaled(self, scale: float, y_scale: float | None = None) -> dict[str, Tensor]:
        """Return weights for raw inputs, with decoder rows of length 1 and features multiplied by the old lengths."""
        weights = super().unscaled(scale, y_scale)
        length_F = self.W_dec.norm(dim=1).clamp_min(1e-12)
        return weights | {
            "W_enc": weights["W_enc"] * length_F,
            "b_enc": weights["b_enc"] * length_F,
            "W_dec": weights["W_dec"] / length_F[:, None],
        }


def _penalised(sae: Sae, x_BD: Tensor, warmth: float, penalty: Callable[[Tensor, SparseEntries], Tensor]) -> LossParts:
    """Return mean over tokens of ‖x - x̂‖² + warmth · λ · penalty. At first most entries are positive."""
    known_V, entries = above(sae.product(x_BD), 0.0)
    act_V = sae.pre_acts_at(x_BD, entries, known_V).relu()
    error_BD = x_BD - sae.decoded(act_V, entries) - sae.b_dec
    squared_error = error_BD.square().sum()
    mse = squared_error / len(x_BD)
    l1 = sae.settings.shard.summed(penalty(act_V, entries)) / len(x_BD)
    total = mse + warmth * sae.settings.needed_l1() * l1
    terms = {"mse": mse, "l1": l1}
    return LossParts(total, terms, error_BD, squared_error, variance_of(x_BD), entries, act_V.detach() > 0)
