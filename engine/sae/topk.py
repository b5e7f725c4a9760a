"""TopK with the auxiliary loss of Gao et al. 2024, *Scaling and evaluating sparse autoencoders* (arXiv 2406.04093).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, C selected features, L features of one scan, K entries per
token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import LossParts, Sae, SaeSettings, SparseActs, encoded_rows, variance_of
from engine.sae.sparse.products import largest

SCAN_WIDTH = 4096
"""Features that `acts_of` computes at once for one token: fewer would make many small products."""


class TopKSae(Sae):
    """f = ReLU(TopK(W_encᵀ(x - b_dec) + b_enc)): `k` features per token, fewer where pre-activations are negative.

    Loss (sections 2.3 and 2.4): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · ‖e - ê‖² / ‖e‖², where e = x - x̂ is the error,
    and ê its reconstruction by the `k_aux` dead features with the largest pre-activations; α = 1/32, less where
    less than that is unexplained. The second term, AuxK, exists only while there are dead features. Differing from the
    paper, ê takes pre-activations without ReLU: a dead feature whose pre-activations are all negative would otherwise
    get no gradient and stay dead (docs/log.md: 52 % of 8 192 features alive with ReLU, 100 % without).
    """

    arch = "topk"
    dense_copies = 2

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.k = settings.needed_k()
        self.scan_width = SCAN_WIDTH

    def encode(self, x_BD: Tensor) -> SparseActs:
        """Return the `k` largest pre-activations of each token, negatives set to 0."""
        act_BK, feature_BK = largest(self.pre_acts(x_BD), min(self.k, self.settings.n_features))
        kept_BK = self.settings.shard.among_largest(act_BK, self.k)
        return SparseActs(act_BK.relu() * kept_BK, feature_BK)

    @torch.no_grad()
    def acts_of(self, x_BD: Tensor, feature_C: Tensor) -> Tensor:
        """Return activations of selected features [B, C], for one token without all of its pre-activations.

        A feature does not fire once `k` others exceed it, which the first few thousand features decide for most. In
        generation, where one token is encoded at a time, this replaces a product of D · F per token by one of D ·
        `scan_width`. Its gain has no figure of its own: remove the scan if "What a clamp costs" (docs/benchmarks.md)
        is the same without it.
        """
        if len(x_BD) != 1:
            found = [self.encode(some_BD) for some_BD in torch.split(x_BD, encoded_rows(self))]
            return torch.cat([laid_out(acts, feature_C) for acts in found])
        if self.settings.d_sae <= self.scan_width:
            pre_F = self.pre_acts(x_BD)[0]
            pre_C = pre_F[feature_C]
            if max(pre_C.tolist()) <= 0:  # the usual case
                return torch.zeros_like(pre_C)[None]
            return (pre_C.relu() * ((pre_F[:, None] > pre_C).sum(0) < self.k))[None]
        pre_C = self.pre_acts_of(x_BD, feature_C)[0]
        larger_C = torch.zeros_like(feature_C)
        for first in range(0, self.settings.d_sae, self.scan_width):
            if not ((pre_C > 0) & (larger_C < self.k)).any():
                break
            pre_L = self.pre_acts_of(x_BD, slice(first, first + self.scan_width))[0]
            larger_LC = pre_L[:, None] > pre_C
            mine_C = feature_C - first
            inside_C = (mine_C >= 0) & (mine_C < len(pre_L))
            # The two products round differently: without this a feature could seem to exceed itself.
            larger_LC[mine_C[inside_C], inside_C.nonzero()[:, 0]] = False
            larger_C += larger_LC.sum(0)
        return (pre_C.relu() * (larger_C < self.k))[None]

    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        del dead_F, warmth
        pre_BF = self.product(x_BD)
        width = self.settings.n_features
        known_BK, feature_BK = largest(pre_BF, min(self.k, width))
        known_V, entries = self.settings.shard.entries(known_BK, feature_BK, self.k, width)
        act_V = self.pre_acts_at(x_BD, entries, known_V).relu()
        error_BO = y_BO - self.b_dec - self.decoded(act_V, entries)
        squared_error, variance = error_BO.square().sum(), variance_of(y_BO)
        unexplained = squared_error / variance
        terms, aux = {"unexplained": unexplained}, (pre_BF, self.settings.aux_weight)
        return LossParts(unexplained, terms, error_BO, squared_error, variance, entries, act_V.detach() > 0, aux)


def laid_out(acts: SparseActs, feature_C: Tensor) -> Tensor:
    """Return the activations of selected features, densely [B, C]."""
    return torch.stack([(acts.act_BK * (acts.feature_BK == one)).sum(1) for one in feature_C], dim=1)
