"""BatchTopK: Bussmann, Leask, Nanda 2024, *BatchTopK Sparse Autoencoders* (arXiv 2412.06410).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, N entries kept in a whole batch, G groups of features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, positive_entries, variance_of

THRESHOLD_RATE = 0.05
"""Weight of one batch in the running mean of the smallest activation kept."""


class BatchTopKSae(Sae):
    """f = ReLU(z) where z is among the `k` · B largest ReLU(z) of the whole batch; z = W_encᵀ(x - b_dec) + b_enc.

    Loss (section 3): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · AuxK, as with TopK (engine.sae.auxiliary): tokens may have
    more active features or fewer, `k` on average.

    Outside training a token must not depend on its neighbours: f = z where z > θ, else 0, with θ = `threshold`, the
    mean over batches of the smallest positive activation kept; here a running mean, a new batch counting
    THRESHOLD_RATE.
    """

    arch = "batchtopk"
    steered_by = ("k",)
    transcodes = True
    in_input_units = Sae.in_input_units | {"threshold"}
    threshold: Tensor

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.register_buffer("threshold", torch.zeros(1))

    def group_starts(self) -> list[int]:
        """First feature of each group whose prefix must reconstruct by itself: here all features are one group."""
        return [0]

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The features above the threshold; whatever else is in the batch."""
        pre_BF = self.pre_acts(x_BD)
        return positive_entries(pre_BF.masked_fill(pre_BF <= self.threshold, 0.0))

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class. In training mode it also moves the threshold."""
        del warmth
        pre_BF = self.pre_acts(x_BD)
        act_N, place_N = self._largest(pre_BF)
        y_BO = x_BD if y_BO is None else y_BO
        error_GBO = y_BO - self._prefix_reconstructions(act_N, place_N, len(x_BD))
        variance = variance_of(y_BO)
        squared_error_G = error_GBO.square().sum((1, 2))
        unexplained = squared_error_G.mean() / variance
        terms = {"unexplained": unexplained.detach()}
        total = unexplained
        if dead_F is not None:
            aux = auxiliary_loss(pre_BF, self.W_dec, error_GBO[-1].detach(), dead_F, self.settings.k_aux)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * aux
        active_N = act_N.detach() > 0
        if self.training:
            self._follow(act_N.detach())
        fired_F = torch.zeros_like(self.b_enc, dtype=torch.bool)
        fired_F[(place_N % self.settings.d_sae)[active_N]] = True
        return StepLoss(total, terms, squared_error_G[-1].detach(), variance, fired_F, active_N.sum())

    def _largest(self, pre_BF: Tensor) -> tuple[Tensor, Tensor]:
        """The batch's largest activations [N] and their places in [B · F], by place."""
        acts = pre_BF.relu().flatten()
        kept = min(self.settings.needed_k() * len(pre_BF), acts.numel())
        place_N = acts.detach().topk(kept, sorted=False).indices.sort().values
        return acts[place_N], place_N

    def _prefix_reconstructions(self, act_N: Tensor, place_N: Tensor, tokens: int) -> Tensor:
        """x̂ from the first group, the first two, …, all of them: [G, B, O]."""
        d_sae = self.settings.d_sae
        start_G = torch.tensor(self.group_starts(), device=place_N.device)
        start_BG = torch.arange(tokens, device=place_N.device)[:, None] * d_sae + start_G
        # Places are in order, so each token's entries of a group lie together: one bag of features for each.
        offsets = torch.searchsorted(place_N, start_BG.flatten())
        part = functional.embedding_bag(
            place_N % d_sae, self.W_dec, offsets, per_sample_weights=act_N, mode="sum"
        ).view(tokens, len(start_G), -1)
        return part.cumsum(1).transpose(0, 1) + self.b_dec

    @torch.no_grad()
    def _follow(self, act_N: Tensor) -> None:
        smallest = torch.where(act_N > 0, act_N, torch.inf).min()
        moved = torch.where(self.threshold > 0, self.threshold.lerp(smallest, THRESHOLD_RATE), smallest)
        self.threshold.copy_(torch.where(smallest.isfinite(), moved, self.threshold))
