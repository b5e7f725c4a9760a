"""BatchTopK: Bussmann, Leask, Nanda 2024, *BatchTopK Sparse Autoencoders* (arXiv 2412.06410).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, N entries kept in the whole batch, G groups of features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import ALL, LossParts, Sae, SaeSettings, variance_of
from engine.sae.sparse.ragged import RaggedEntries, largest_of_all
from engine.sae.starts import start_of

THRESHOLD_RATE = 0.05
"""Weight of a batch in the running mean of the smallest activation kept."""


class BatchTopKSae(Sae):
    """f = ReLU(z) where z is among the `k` · B largest ReLU(z) of the whole batch; z = W_encᵀ(x - b_dec) + b_enc.

    Loss: L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · AuxK, as in TopK. The number of active
    features varies between tokens, `k` on average. The encoder starts with shorter columns than TopK's: `start_of`.

    Outside training a token must not depend on its neighbours: f = z where z > θ, else 0, with θ = `threshold`, the
    running mean over batches of the smallest positive activation kept, each new batch weighted by THRESHOLD_RATE.
    """

    arch = "batchtopk"
    dense_copies = 2
    in_input_units = Sae.in_input_units | {"threshold"}
    threshold: Tensor

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.register_buffer("threshold", torch.zeros(1))

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random unit decoder rows; the encoder is their transpose, shortened: see `start_of`."""
        super().initialise(mean_D, generator, mean_O)
        self.W_enc.mul_(start_of(self.settings, self.settings.needed_k() / self.settings.d_sae).length)

    def group_starts(self) -> tuple[int, ...]:
        """Return the first feature of each group whose prefix must reconstruct by itself: here one group of all."""
        return (0,)

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """Return pre-activations above the threshold, else 0; independent of the rest of the batch."""
        del feature_C
        return pre_BC.masked_fill(pre_BC <= self.threshold, 0.0)

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        """Compute losses on the batch's largest pre-activations; in training mode, move the threshold."""
        del dead_F, warmth
        pre_BF = self.product(x_BD)
        entries = self._largest_of_all(pre_BF)
        act_N = self.pre_acts_at(x_BD, entries.whole, pre_BF.flatten()[entries.place_N]).relu()
        error_GBO = y_BO - self._prefix_reconstructions(act_N, entries)
        variance = variance_of(y_BO)
        squared_error_G = error_GBO.square().sum((1, 2))
        unexplained = squared_error_G.mean() / variance
        if self.training:
            self._follow(act_N.detach())
        terms, aux = {"unexplained": unexplained}, (pre_BF, self.settings.aux_weight)
        squared_error, active_N = squared_error_G[-1], act_N.detach() > 0
        return LossParts(unexplained, terms, error_GBO[-1], squared_error, variance, entries, active_N, aux)

    def _largest_of_all(self, pre_BF: Tensor) -> RaggedEntries:
        """Return this rank's entries among the `k` · B largest of all ranks'."""
        s, (n_tokens, width) = self.settings, pre_BF.shape
        n = n_tokens * min(s.needed_k(), s.d_sae)
        place_N = largest_of_all(pre_BF, min(n, pre_BF.numel()))
        if not s.shard.alone:
            place_N = place_N[s.shard.among_largest(pre_BF.flatten()[place_N][None], n)[0]]
        return RaggedEntries(place_N, n_tokens, width, tuple(s.shard.count(start) for start in self.group_starts()))

    def _prefix_reconstructions(self, act_N: Tensor, entries: RaggedEntries) -> Tensor:
        """Return x̂ from the first group, the first two, …, all of them: [G, B, O]."""
        part_BGO = self.decoded(act_N, entries).view(entries.tokens, len(entries.part_starts), -1)
        return part_BGO.cumsum(1).transpose(0, 1) + self.b_dec

    @torch.no_grad()
    def _follow(self, act_N: Tensor) -> None:
        """Move the threshold towards the smallest positive activation kept."""
        # Infinity where nothing is positive, or finite: the training loop reports that at the next log line.
        smallest = torch.cat([act_N.new_tensor([torch.inf]), torch.where(act_N > 0, act_N, torch.inf)]).min()
        smallest = self.settings.shard.least(smallest)
        moved = torch.where(self.threshold > 0, self.threshold.lerp(smallest, THRESHOLD_RATE), smallest)
        self.threshold.copy_(torch.where(smallest.isfinite(), moved, self.threshold))
