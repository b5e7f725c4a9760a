"""BatchTopK: Bussmann, Leask, Nanda 2024, *BatchTopK Sparse Autoencoders* (arXiv 2412.06410).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, N entries kept in a whole batch, G groups of features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import ALL, Sae, SaeSettings, StepLoss, variance_of
from engine.sae.sparse.products import decode, pre_acts_at
from engine.sae.sparse.ragged import Ragged, largest_of_all
from engine.sae.starts import start_of

THRESHOLD_RATE = 0.05
"""Weight of one batch in the running mean of the smallest activation kept."""


class BatchTopKSae(Sae):
    """f = ReLU(z) where z is among the `k` · B largest ReLU(z) of the whole batch; z = W_encᵀ(x - b_dec) + b_enc.

    Loss: L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · AuxK, as with TopK (engine.sae.auxiliary): tokens may have
    more active features or fewer, `k` on average. The encoder begins with shorter columns than there: `start_of`.

    Outside training a token must not depend on its neighbours: f = z where z > θ, else 0, with θ = `threshold`, the
    mean over batches of the smallest positive activation kept; here a running mean, a new batch counting
    THRESHOLD_RATE.
    """

    arch = "batchtopk"
    in_input_units = Sae.in_input_units | {"threshold"}
    threshold: Tensor

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.register_buffer("threshold", torch.zeros(1))

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Random unit rows; the encoder their transpose, shorter: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, self.settings.needed_k() / self.settings.d_sae).length)

    def group_starts(self) -> tuple[int, ...]:
        """First feature of each group whose prefix must reconstruct by itself: here all features are one group."""
        return (0,)

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """What is above the threshold; whatever else is in the batch."""
        del feature_C
        return pre_BC.masked_fill(pre_BC <= self.threshold, 0.0)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. In training mode it also moves the threshold."""
        del warmth
        pre_BF = self.product(x_BD)
        place_N = largest_of_all(pre_BF, min(self.settings.needed_k() * len(x_BD), pre_BF.numel()))
        entries = Ragged(place_N, len(x_BD), self.settings.d_sae, self.group_starts())
        known_N = pre_BF.flatten()[place_N]
        act_N = pre_acts_at(x_BD, self.W_enc, self.b_enc, self.centre_D, entries.whole, known_N).relu()
        y_BO = x_BD if y_BO is None else y_BO
        error_GBO = y_BO - self._prefix_reconstructions(act_N, entries)
        variance = variance_of(y_BO)
        squared_error_G = error_GBO.square().sum((1, 2))
        unexplained = squared_error_G.mean() / variance
        terms = {"unexplained": unexplained.detach()}
        total = unexplained
        if dead_F is not None:
            aux = auxiliary_loss(self, x_BD, pre_BF, error_GBO[-1].detach(), dead_F)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * aux
        active_N = act_N.detach() > 0
        if self.training:
            self._follow(act_N.detach())
        squared_error = squared_error_G[-1].detach()
        return StepLoss(total, terms, squared_error, variance, entries.fired(active_N), active_N.sum())

    def _prefix_reconstructions(self, act_N: Tensor, entries: Ragged) -> Tensor:
        """x̂ from the first group, the first two, …, all of them: [G, B, O]."""
        part_BGO = decode(act_N, self.W_dec, entries).view(entries.tokens, len(entries.part_starts), -1)
        return part_BGO.cumsum(1).transpose(0, 1) + self.b_dec

    @torch.no_grad()
    def _follow(self, act_N: Tensor) -> None:
        if not len(act_N):  # no number is finite: the training loop says so at the next log line
            return
        smallest = torch.where(act_N > 0, act_N, torch.inf).min()
        moved = torch.where(self.threshold > 0, self.threshold.lerp(smallest, THRESHOLD_RATE), smallest)
        self.threshold.copy_(torch.where(smallest.isfinite(), moved, self.threshold))
