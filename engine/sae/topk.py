"""TopK with the auxiliary loss of Gao et al. 2024, *Scaling and evaluating sparse autoencoders* (arXiv 2406.04093).

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token, A dead features in the auxiliary loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, decode_sparse, fired_features


class TopKSae(Sae):
    """f = ReLU(TopK(W_encᵀ(x - b_dec) + b_enc)): `k` features a token, fewer where pre-activations are negative.

    Loss (sections 2.3 and 2.4): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · ‖e - ê‖² / ‖e‖², where e = x - x̂ is what was not
    explained, and ê its reconstruction by the `k_aux` dead features with the largest pre-activations; α = 1/32. The
    second term exists only while there are dead features. Differing from the paper, ê takes pre-activations as they
    are, without ReLU: a dead feature whose pre-activations are all negative would else get no gradient and stay dead
    (docs/log.md: 52 % of 8 192 features alive with it, 100 % without).
    """

    arch = "topk"
    fixed_k = True

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        if settings.k is None:
            raise ValueError("TopK needs k")
        self.k = settings.k

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The `k` largest pre-activations of each token, negatives set to 0."""
        return self._select(self.pre_acts(x_BD))

    def _select(self, pre_BF: Tensor) -> SparseActs:
        act_BK, feature_BK = pre_BF.topk(self.k, dim=1, sorted=False)
        return SparseActs(act_BK.relu(), feature_BK)

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float) -> StepLoss:
        """See the class."""
        del warmth
        pre_BF = self.pre_acts(x_BD)
        acts = self._select(pre_BF)
        error_BD = x_BD - self.decode(acts)
        squared_error = error_BD.square().sum()
        variance = (x_BD - x_BD.mean(0)).square().sum()
        unexplained = squared_error / variance
        terms = {"unexplained": unexplained.detach()}
        total = unexplained
        if dead_F is not None:
            aux = self._auxiliary(pre_BF, error_BD.detach(), dead_F)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * aux
        active_BK = acts.act_BK.detach()
        fired_F = fired_features(SparseActs(active_BK, acts.feature_BK), self.settings.d_sae)
        return StepLoss(total, terms, squared_error.detach(), fired_F, (active_BK > 0).sum())

    def _auxiliary(self, pre_BF: Tensor, error_BD: Tensor, dead_F: Tensor) -> Tensor:
        dead_A = dead_F.nonzero().squeeze(1)
        pre_BA = pre_BF.index_select(1, dead_A)
        act_BK, place_BK = pre_BA.topk(min(self.settings.k_aux, len(dead_A)), dim=1, sorted=False)
        guess_BD = decode_sparse(SparseActs(act_BK, dead_A[place_BK]), self.W_dec)
        missed, energy = (error_BD - guess_BD).square().sum(), error_BD.square().sum()
        # A perfect reconstruction leaves nothing to explain, and must not make the gradient 0 / 0.
        return torch.where(energy > 0, missed, 0.0) / torch.where(energy > 0, energy, 1.0)
