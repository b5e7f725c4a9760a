"""TopK with the auxiliary loss of Gao et al. 2024, *Scaling and evaluating sparse autoencoders* (arXiv 2406.04093).

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

from torch import Tensor

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, fired_features


class TopKSae(Sae):
    """f = ReLU(TopK(W_encᵀ(x - b_dec) + b_enc)): `k` features a token, fewer where pre-activations are negative.

    Loss (sections 2.3 and 2.4): L = Σ‖x - x̂‖² / Σ‖x - mean(x)‖² + α · ‖e - ê‖² / ‖e‖², where e = x - x̂ is what was not
    explained, and ê its reconstruction by the `k_aux` dead features with the largest pre-activations; α = 1/32. The
    second term exists only while there are dead features. Differing from the paper, ê takes pre-activations as they
    are, without ReLU: a dead feature whose pre-activations are all negative would else get no gradient and stay dead
    (docs/log.md: 52 % of 8 192 features alive with it, 100 % without).
    """

    arch = "topk"
    steered_by = ("k",)

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.k = settings.needed_k()

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
            aux = auxiliary_loss(pre_BF, self.W_dec, error_BD.detach(), dead_F, self.settings.k_aux)
            terms["aux"] = aux.detach()
            total = total + self.settings.aux_weight * aux
        active_BK = acts.act_BK.detach()
        fired_F = fired_features(SparseActs(active_BK, acts.feature_BK), self.settings.d_sae)
        return StepLoss(total, terms, squared_error.detach(), fired_F, (active_BK > 0).sum())
