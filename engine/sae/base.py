"""What every sparse autoencoder can do, and what each architecture must say for itself.

f = act(W_encᵀ(x - b_dec) + b_enc), x̂ = W_decᵀ f + b_dec.

A transcoder (Dunefsky, Chlenski, Nanda 2024, *Transcoders Find Interpretable LLM Feature Circuits*, arXiv 2406.11944)
explains y, the activations of another site, by features of x: f = act(W_encᵀ(x - b_in) + b_enc), ŷ = W_decᵀ f + b_dec.
Where a loss says x and x̂ of what is explained, read y and ŷ.

Dictionaries of others may normalise every token by itself (engine.sae.token_norm): f reads n(x) in place of x, and what
is decoded is turned back, x̂ = scale(x) · (W_decᵀ f + b_dec) + mean(x); in a transcoder ŷ is as it is. And a transcoder
may have a skip connection, ŷ = W_decᵀ f + b_dec + W_skip x, x as it is. Neither is trained here.

Shapes: B tokens of a batch, D = d_in, O = d_out (D, but in a transcoder), F = d_sae, K entries kept a token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.sae.sparse.products import weighted_rows
from engine.sae.token_norm import TOKEN_NORMS, TokenNorm, moments, normalised
from store.files.errors import MonosemError

ALL = slice(None)
"""Every feature."""
ENCODE_BYTES = 1 << 28
"""Size of the pre-activations made at once where nothing is trained."""


class SparseActs(NamedTuple):
    """The active features of each token; entries of activation 0 are filling."""

    act_BK: Tensor
    feature_BK: Tensor


class StepLoss(NamedTuple):
    """What one training step needs to know of a batch."""

    total: Tensor
    """The scalar to differentiate."""
    terms: dict[str, Tensor]
    """Its parts by name, for the events; detached scalars, so that nothing waits for the device."""
    squared_error: Tensor
    """Σ‖x - x̂‖² over the batch."""
    variance: Tensor
    """Σ‖x - mean(x)‖² over the batch."""
    fired_F: Tensor
    """True for features active on any token of the batch."""
    n_active: Tensor
    """Active features, summed over the tokens of the batch."""


@dataclass(frozen=True, kw_only=True)
class SaeSettings:
    """What fixes an architecture's shape and loss."""

    d_in: int
    d_sae: int
    k: int | None = None
    """Active features a token, for architectures that fix or aim at them."""
    l1: float | None = None
    """Weight of the sparsity penalty, for those that have one; inputs are scaled to E‖x - mean‖² = d_in."""
    k_aux: int = 32
    """Dead features in one token's auxiliary reconstruction."""
    aux_weight: float = 1 / 32
    d_out: int | None = None
    """Width of what a transcoder explains; None for an autoencoder, which explains what it reads."""
    token_norm: TokenNorm = "none"
    """How every token is normalised by itself; only in dictionaries of others."""
    skip: bool = False
    """Whether a transcoder has W_skip; only in dictionaries of others."""

    def __post_init__(self) -> None:
        if self.d_sae < 1:
            raise MonosemError(f"d_sae must be positive, not {self.d_sae}")
        if self.k is not None and not 1 <= self.k <= self.d_sae:
            raise MonosemError(f"k must lie between 1 and d_sae = {self.d_sae}, not {self.k}", "Change `k` or `d_sae`.")
        if self.l1 is not None and not 0 <= self.l1 < math.inf:
            raise MonosemError(f"l1 must be a number from 0 on, not {self.l1}")
        if self.token_norm not in TOKEN_NORMS:
            raise MonosemError(
                f"tokens are normalised by {self.token_norm!r}, which this monosem does not compute", "Upgrade monosem."
            )
        if self.skip and self.d_out is None:
            raise ValueError("only transcoders have a skip connection")

    def needed_k(self) -> int:
        """`k`, where it cannot be done without."""
        if self.k is None:
            raise ValueError("this architecture needs k")
        return self.k

    def needed_l1(self) -> float:
        """`l1`, where it cannot be done without."""
        if self.l1 is None:
            raise ValueError("this architecture needs l1")
        return self.l1


class Sae(nn.Module, ABC):
    """A sparse autoencoder. Parameters are float32; inputs of training are scaled and go in as [B, D]."""

    arch: ClassVar[str]
    """Name in the registry and on disk."""
    l1_at_unit: ClassVar[float] = 1 / 16
    """Default `l1`, divided by √d_in: activations grow like it with inputs of E‖x - mean‖² = d_in (docs/log.md)."""
    lr_share: ClassVar[float] = 1.0
    """Default learning rate, as a multiple of TopK's."""
    resamples: ClassVar[bool] = False
    """Whether dead features are re-initialised on schedule."""
    product_dtype: torch.dtype | None = None
    """Of the encoder's product while training, where it is not the weights'; all else is in theirs."""
    in_input_units: ClassVar[frozenset[str]] = frozenset({"b_enc", "b_dec"})
    """The tensors that grow in proportion when inputs do."""

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__()
        self.settings = settings
        d, f = settings.d_in, settings.d_sae
        # Laid out feature by feature: what one feature reads, and its gradient, is one stretch of memory.
        self.W_enc = nn.Parameter(torch.empty(f, d).T)
        self.b_enc = nn.Parameter(torch.zeros(f))
        self.W_dec = nn.Parameter(torch.empty(f, settings.d_out or d))
        self.b_dec = nn.Parameter(torch.zeros(settings.d_out or d))
        if settings.d_out is not None:
            # Not learnt: whatever it could learn, b_enc does.
            self.register_buffer("b_in", torch.zeros(d))
        if settings.skip:
            self.register_buffer("W_skip", torch.zeros(settings.d_out or d, d))

    @property
    def centre_D(self) -> Tensor:
        """What is taken from inputs: b_dec, or b_in of a transcoder."""
        return self.b_dec if self.settings.d_out is None else self.get_buffer("b_in")

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Random unit encoder columns, the decoder their transpose (Gao et al. 2024, section 2.4), b_dec at the mean.

        A transcoder's decoder rows are random as well, its b_dec the mean of y (docs/log.md: better than the encoder's
        columns carried over by the best linear map).
        """
        rows_FD = torch.randn(self.W_enc.T.shape, generator=generator)
        rows_FD /= rows_FD.norm(dim=1, keepdim=True)
        self.W_enc.copy_(rows_FD.T)
        self.centre_D.copy_(mean_D)
        if mean_O is not None:
            self.b_dec.copy_(mean_O)
            rows_FD = torch.randn(self.W_dec.shape, generator=generator)
            rows_FD /= rows_FD.norm(dim=1, keepdim=True)
        self.W_dec.copy_(rows_FD)

    def read_in(self, x_BD: Tensor) -> Tensor:
        """What W_enc is multiplied by: inputs without their centre, each normalised before where that is so."""
        return normalised(x_BD, self.settings.token_norm) - self.centre_D

    @property
    def turns_back(self) -> bool:
        """Whether what is decoded is turned back into each token's own units; a transcoder's is in units of y."""
        return self.settings.token_norm != "none" and self.settings.d_out is None

    def unit_of(self, x_BD: Tensor) -> Tensor | None:
        """How much one unit of what is decoded is in the model, for each token [B, 1]; None where that is 1.

        An activation that changes by Δf changes the model's by unit · Δf · W_dec[i], the rest of the token kept.
        """
        return moments(x_BD, self.settings.token_norm).scale_B1 if self.turns_back else None

    def pre_acts(self, x_BD: Tensor) -> Tensor:
        """Encoder outputs before the activation function [B, F]."""
        return torch.addmm(self.b_enc, self.read_in(x_BD), self.W_enc)

    @torch.no_grad()
    def product(self, x_BD: Tensor) -> Tensor:
        """`pre_acts` without gradients [B, F], in the dtype that products are made in."""
        dtype = self.product_dtype
        if dtype is None:
            return self.pre_acts(x_BD)
        return functional.linear(self.read_in(x_BD).to(dtype), self.W_enc.T.to(dtype), self.b_enc.to(dtype))

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """Activations of some features [B, C] from their pre-activations, where each is for itself."""
        del feature_C
        return pre_BC.relu()

    def encode(self, x_BD: Tensor) -> SparseActs:
        """The active features of each token."""
        return positive_entries(self.activation(self.pre_acts(x_BD)))

    @torch.no_grad()
    def acts_of(self, x_BD: Tensor, feature_C: Tensor) -> Tensor:
        """Activations of some features alone [B, C], 0 where they do not fire: no product of size [B, F]."""
        return self.activation(self.pre_acts_of(x_BD, feature_C), feature_C)

    def pre_acts_of(self, x_BD: Tensor, feature_C: Tensor | slice) -> Tensor:
        """`pre_acts` of some features alone [B, C]."""
        return torch.addmm(self.b_enc[feature_C], self.read_in(x_BD), self.W_enc.T[feature_C].T)

    @abstractmethod
    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """The training loss.

        Args:
            x_BD: inputs, scaled.
            dead_F: True for features that have long been silent; None when there are none.
            warmth: 0 to 1, how far the sparsity penalty has been warmed up.
            y_BO: what a transcoder is to explain, scaled; None for an autoencoder.
        """

    def decode(self, acts: SparseActs, x_BD: Tensor | None = None) -> Tensor:
        """Reconstructions [B, O] from active features alone: no product of size [B, F].

        Args:
            acts: the active features.
            x_BD: the tokens that they are of. Needed where tokens are normalised or there is a skip connection; what is
                decoded does not follow from features alone there.

        Raises:
            MonosemError: the tokens are needed, and not given.
        """
        out_BO = decode_sparse(acts, self.W_dec) + self.b_dec
        if not (self.turns_back or self.settings.skip):
            return out_BO
        if x_BD is None:
            what = "a skip connection" if self.settings.skip else f"token_norm {self.settings.token_norm}"
            raise MonosemError(
                f"an autoencoder with {what} does not decode from features alone", "Use decode(acts, x), or forward(x)."
            )
        if self.turns_back:
            scale_B1, mean_B1 = moments(x_BD, self.settings.token_norm)
            out_BO = out_BO * scale_B1 + mean_B1
        return out_BO + x_BD @ self.get_buffer("W_skip").mT if self.settings.skip else out_BO

    def forward(self, x_BD: Tensor) -> Tensor:
        """Reconstructions [B, O]."""
        return self.decode(self.encode(x_BD), x_BD)

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Before the optimizer's step: take from W_dec's gradient what would change its rows' lengths."""
        if self.W_dec.grad is not None:
            along_F1 = (self.W_dec.grad * self.W_dec).sum(1, keepdim=True)
            self.W_dec.grad.addcmul_(along_F1, self.W_dec, value=-1)

    @torch.no_grad()
    def constrain(self) -> None:
        """After the optimizer's step: bring decoder rows back to length 1."""
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(1e-12))

    @torch.no_grad()
    def unscaled(self, scale: float, y_scale: float | None = None) -> dict[str, Tensor]:
        """The weights for raw activations, where training saw x times `scale`, and a transcoder's y times `y_scale`.

        Every activation function here satisfies act(c·z) = c·act(z) once its thresholds are multiplied by c too, so
        dividing biases and thresholds by the scale is enough: activations then come out in the units of the model's own
        activations, and decoder rows keep length 1. A transcoder's activations come out in the units of y: its encoder
        takes the ratio of the two.
        """
        out = scale if y_scale is None else y_scale
        weights = {
            name: tensor / out if name in self.in_input_units else tensor.clone()
            for name, tensor in self.state_dict().items()
        }
        if y_scale is not None:
            weights |= {"W_enc": weights["W_enc"] * (scale / y_scale), "b_in": weights["b_in"] / scale}
        return weights


def encoded_rows(sae: Sae) -> int:
    """Tokens to encode at once, so that the pre-activations [N, F] stay within ENCODE_BYTES."""
    return max(1, ENCODE_BYTES // (4 * sae.settings.d_sae))


def decode_sparse(acts: SparseActs, W_dec_FD: Tensor) -> Tensor:
    """Σ_k act · W_dec[feature]: [B, D]."""
    return weighted_rows(acts.act_BK, W_dec_FD, acts.feature_BK)


def variance_of(y_BO: Tensor) -> Tensor:
    """Σ‖y - mean(y)‖² over a batch."""
    return (y_BO - y_BO.mean(0)).square().sum()


def fired_features(acts: SparseActs, d_sae: int) -> Tensor:
    """True for features active on any token [F]."""
    fired_F = torch.zeros(d_sae, dtype=torch.bool, device=acts.act_BK.device)
    fired_F[acts.feature_BK[acts.act_BK > 0]] = True
    return fired_F


def positive_entries(dense_BF: Tensor) -> SparseActs:
    """The positive entries of dense activations, padded to the token with most of them."""
    active_B = (dense_BF > 0).sum(1)
    most = max(1, int(active_B.max())) if len(active_B) else 1
    act_BK, feature_BK = dense_BF.topk(most, dim=1)
    return SparseActs(act_BK, feature_BK)
