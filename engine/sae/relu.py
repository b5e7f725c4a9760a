"""ReLU with an L1 penalty and a unit-norm decoder: Bricken et al. 2023, *Towards Monosemanticity*.

Shapes: B tokens of a batch, D = d_in, F = d_sae.
"""

from __future__ import annotations

from torch import Tensor

from engine.sae.base import Sae, SparseActs, StepLoss, positive_entries, variance_of


class ReluSae(Sae):
    """f = ReLU(W_encᵀ(x - b_dec) + b_enc), decoder rows of length 1.

    Loss: L = mean over tokens of ‖x - x̂‖² + λ·‖f‖₁, λ = `l1`. The paper's recipe (appendix, "Autoencoder Training"):
    the gradient's component along each decoder row is removed before Adam's step, rows are brought back to length 1
    after it, and features that have been silent are resampled on schedule (engine.training.resampling).
    """

    arch = "relu"
    steered_by = ("l1",)
    resamples = True

    def encode(self, x_BD: Tensor) -> SparseActs:
        """Every feature with a positive pre-activation."""
        return positive_entries(self.pre_acts(x_BD).relu())

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. Dense: while it learns, a ReLU autoencoder is not sparse."""
        del dead_F, y_BO
        acts_BF = self.pre_acts(x_BD).relu()
        reconstruction_BD = acts_BF @ self.W_dec + self.b_dec
        squared_error = (x_BD - reconstruction_BD).square().sum()
        mse = squared_error / len(x_BD)
        l1 = acts_BF.sum() / len(x_BD)
        total = mse + warmth * self.settings.needed_l1() * l1
        active_BF, variance = acts_BF.detach() > 0, variance_of(x_BD)
        terms = {"mse": mse.detach(), "l1": l1.detach()}
        return StepLoss(total, terms, squared_error.detach(), variance, active_BF.any(0), active_BF.sum())
