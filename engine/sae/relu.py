"""ReLU with an L1 penalty and a unit-norm decoder: Bricken et al. 2023, *Towards Monosemanticity*.

Shapes: B tokens of a batch, D = d_in, F = d_sae, V the entries that are positive (engine.sae.sparse.ragged).
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import Sae, StepLoss, variance_of
from engine.sae.sparse.products import decode, pre_acts_at
from engine.sae.sparse.ragged import above
from engine.sae.starts import start_of


class ReluSae(Sae):
    """f = ReLU(W_encᵀ(x - b_dec) + b_enc), decoder rows of length 1.

    Loss: L = mean over tokens of ‖x - x̂‖² + λ·‖f‖₁, λ = `l1`. The paper's recipe (appendix, "Autoencoder Training"):
    the gradient's component along each decoder row is removed before Adam's step, rows are brought back to length 1
    after it, and features that have been silent are resampled on schedule (engine.training.resampling). The encoder
    begins with shorter columns than the paper's: `start_of`.
    """

    arch = "relu"
    resamples = True

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Random unit rows; the encoder their transpose, shorter: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, share=1 / 2).length)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. While it learns, a ReLU autoencoder is dense at first."""
        del dead_F, y_BO
        known_V, entries = above(self.product(x_BD), 0.0)
        act_V = pre_acts_at(x_BD, self.W_enc, self.b_enc, self.centre_D, entries, known_V).relu()
        squared_error = (x_BD - decode(act_V, self.W_dec, entries) - self.b_dec).square().sum()
        mse = squared_error / len(x_BD)
        l1 = act_V.sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1
        active_V = act_V.detach() > 0
        terms = {"mse": mse.detach(), "l1": l1.detach()}
        fired_F = entries.fired(active_V)
        return StepLoss(total, terms, squared_error.detach(), variance_of(x_BD), fired_F, active_V.sum())
