"""TopK with the auxiliary loss of Gao et al. 2024, *Scaling and evaluating sparse autoencoders* (arXiv 2406.04093).

Shapes: B tokens of a batch, D = d_in, O = d_out, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

from torch import Tensor

from engine.sae.auxiliary import auxiliary_loss
from engine.sae.base import Sae, SaeSettings, SparseActs, StepLoss, variance_of
from engine.sae.sparse import Kept, decode, largest, pre_acts_at


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
    transcodes = True

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__(settings)
        self.k = settings.needed_k()

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The `k` largest pre-activations of each token, negatives set to 0."""
        act_BK, feature_BK = largest(self.pre_acts(x_BD), self.k)
        return SparseActs(act_BK.relu(), feature_BK)

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
