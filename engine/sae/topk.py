"""TopK with the auxiliary loss of Gao et al. 2024, *Scaling and evaluating sparse autoencoders* (arXiv 2406.04093).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, encoded_rows, variance_of
from engine.sae.sparse.products import Kept, decode, largest, pre_acts_at

LOOKED_AT = 4096
"""Features computed at once for one token: less would be many small products."""


class TopKSae(Sae):
    """f = ReLU(TopK(W_encᵀ(x - b_dec) + b_enc)): `k` features a token, fewer where pre-activations are negative.

    Loss (sections 2.3 and 2.4): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · ‖e - ê‖² / ‖e‖², where e = x - x̂ is what was not
    explained, and ê its reconstruction by the `k_aux` dead features with the largest pre-activations; α = 1/32. The
    second term exists only while there are dead features. Differing from the paper, ê takes pre-activations as they
    are, without ReLU: a dead feature whose pre-activations are all negative would else get no gradient and stay dead
    (docs/log.md: 52 % of 8 192 features alive with it, 100 % without).
    """

    arch = "topk"

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.k = settings.needed_k()

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The `k` largest pre-activations of each token, negatives set to 0."""
        act_BK, feature_BK = largest(self.pre_acts(x_BD), self.k)
        return SparseActs(act_BK.relu(), feature_BK)

    @torch.no_grad()
    def acts_of(self, x_BD: Tensor, feature_C: Tensor) -> Tensor:
        """Activations of some features alone [B, C]. Of one token, no more is computed than decides whether they fire.

        A feature that `k` others exceed does not, and of most features the first few thousand others show it.
        """
        if len(x_BD) != 1:
            found = [self.encode(some_BD) for some_BD in torch.split(x_BD, encoded_rows(self))]
            return torch.cat([laid_out(acts, feature_C) for acts in found])
        if self.settings.d_sae <= LOOKED_AT:
            pre_F = self.pre_acts(x_BD)[0]
            pre_C = pre_F[feature_C]
            if max(pre_C.tolist()) <= 0:  # as most of the time
                return torch.zeros_like(pre_C)[None]
            return (pre_C.relu() * ((pre_F[:, None] > pre_C).sum(0) < self.k))[None]
        pre_C = self.pre_acts_of(x_BD, feature_C)[0]
        larger_C = torch.zeros_like(feature_C)
        for first in range(0, self.settings.d_sae, LOOKED_AT):
            if not ((pre_C > 0) & (larger_C < self.k)).any():
                break
            pre_L = self.pre_acts_of(x_BD, slice(first, first + LOOKED_AT))[0]
            larger_LC = pre_L[:, None] > pre_C
            mine_C = feature_C - first
            inside_C = (mine_C >= 0) & (mine_C < len(pre_L))
            # The two products round differently, so that a feature may seem to exceed itself.
            larger_LC[mine_C[inside_C], inside_C.nonzero()[:, 0]] = False
            larger_C += larger_LC.sum(0)
        return (pre_C.relu() * (larger_C < self.k))[None]

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """See the class."""
        del warmth
        pre_BF = self.product(x_BD)
        known_BK, feature_BK = largest(pre_BF, self.k)
        entries = Kept(feature_BK, self.settings.d_sae)
        act_BK = pre_acts_at(x_BD, self.W_enc, self.b_enc, self.centre_D, entries, known_BK).relu()
        y_BO = x_BD if y_BO is None else y_BO
        error_BO = y_BO - self.b_dec - decode(act_BK, self.W_dec, entries)
        squared_error, variance = error_BO.square().sum(), variance_of(y_BO)
        unexplained = squared_error / variance
        terms = {"unexplained": unexplained.detach()}
        total = unexplained
        if dead_F is not None:
            aux = auxiliary_loss(self, x_BD, pre_BF, error_BO.detach(), dead_F)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * aux
        active_BK = act_BK.detach() > 0
        return StepLoss(total, terms, squared_error.detach(), variance, entries.fired(active_BK), active_BK.sum())


def laid_out(acts: SparseActs, feature_C: Tensor) -> Tensor:
    """The activations of some features [B, C]."""
    return torch.stack([(acts.act_BK * (acts.feature_BK == one)).sum(1) for one in feature_C], dim=1)
