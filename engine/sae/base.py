"""The base class of every sparse autoencoder: shapes, encoder, decoder, and the parts that all losses share.

f = act(W_encᵀ(x - b_dec) + b_enc), x̂ = W_decᵀ f + b_dec.

A transcoder (Dunefsky, Chlenski, Nanda 2024, *Transcoders Find Interpretable LLM Feature Circuits*, arXiv 2406.11944)
predicts y, the activations of another site, from features of x: f = act(W_encᵀ(x - b_in) + b_enc), ŷ = W_decᵀ f +
b_dec. In the formulas of the losses, read y and ŷ for the x and x̂ that are compared.

Imported dictionaries may normalise each token (engine.sae.token_norm): the encoder then reads n(x) instead of x, and
the decoder's output is de-normalised, x̂ = scale(x) · (W_decᵀ f + b_dec) + mean(x); a transcoder's ŷ is not. An imported
transcoder may also have a skip connection, ŷ = W_decᵀ f + b_dec + W_skip x, with x not normalised. monosem trains
neither.

Shapes: B tokens of a batch, D = d_in, O = d_out (D except in a transcoder), F = d_sae, C selected features, K entries
per token, V the shape of the values of the entries that a loss selects (engine.sae.sparse).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.runtime.sizes import ENCODE_BYTES
from engine.sae.auxiliary import aux_share, dead_entries, share_missed
from engine.sae.shard import ALL_FEATURES, FeatureShard
from engine.sae.sparse.products import SparseEntries, decode, pre_acts_at, weighted_rows
from engine.sae.token_norm import TOKEN_NORMS, TokenNorm, moments, normalised
from store.files.errors import MonosemError

ALL = slice(None)
"""Index of all features."""


class SparseActs(NamedTuple):
    """The active features of each token; entries of activation 0 are padding."""

    act_BK: Tensor
    feature_BK: Tensor


class StepLoss(NamedTuple):
    """The loss of one batch, and the statistics that training logs."""

    total: Tensor
    """The scalar to differentiate."""
    terms: dict[str, Tensor]
    """Parts of the loss by name, for the events; detached scalars on the device, so that nothing waits for it."""
    squared_error: Tensor
    """Σ‖x - x̂‖² over the batch."""
    variance: Tensor
    """Σ‖x - mean(x)‖² over the batch."""
    fired_F: Tensor
    """True for features active on any token of the batch."""
    n_active: Tensor
    """Active features, summed over the tokens of the batch."""
    error_BO: Tensor
    """x - x̂, detached."""


class LossParts(NamedTuple):
    """Result of an architecture's `_step`; `Sae.loss` adds AuxK and the statistics."""

    total: Tensor
    """The loss without AuxK."""
    terms: dict[str, Tensor]
    """Its parts by name, not necessarily detached."""
    error_BO: Tensor
    """x - x̂."""
    squared_error: Tensor
    """Σ‖x - x̂‖² over the batch."""
    variance: Tensor
    """Σ‖x - mean(x)‖² over the batch."""
    entries: SparseEntries
    active_V: Tensor
    """True for entries whose feature is active."""
    aux: tuple[Tensor, Tensor | float] | None = None
    """The pre-activations of all features [B, F] and the weight of AuxK; None for losses without it."""


@dataclass(frozen=True, kw_only=True)
class SaeSettings:
    """The shape of an autoencoder and the constants of its loss."""

    d_in: int
    d_sae: int
    k: int | None = None
    """Active features per token, for architectures that fix it or aim at it."""
    l1: float | None = None
    """Weight of the sparsity penalty, where there is one; inputs are scaled to E‖x - mean‖² = d_in."""
    k_aux: int = 32
    """Dead features per token in the auxiliary reconstruction."""
    aux_weight: float = 1 / 32
    d_out: int | None = None
    """Width of the activations that a transcoder predicts; None for an autoencoder."""
    token_norm: TokenNorm = "none"
    """Normalisation of each token; imported dictionaries only."""
    skip: bool = False
    """Whether a transcoder has W_skip; imported dictionaries only."""
    shard: FeatureShard = ALL_FEATURES
    """The features that this process trains, of those of all ranks."""

    def __post_init__(self) -> None:
        if self.d_sae < 1:
            raise MonosemError(f"d_sae must be positive, not {self.d_sae}")
        if self.k is not None and not 1 <= self.k <= self.d_sae:
            raise MonosemError(f"k must lie between 1 and d_sae = {self.d_sae}, not {self.k}", "Change `k` or `d_sae`.")
        if self.l1 is not None and not 0 <= self.l1 < math.inf:
            raise MonosemError(f"l1 must be a finite number of at least 0, not {self.l1}")
        if self.token_norm not in TOKEN_NORMS:
            raise MonosemError(
                f"this version of monosem does not know the token norm {self.token_norm!r}", "Upgrade monosem."
            )
        if self.skip and self.d_out is None:
            raise ValueError("only transcoders have a skip connection")

    @property
    def n_features(self) -> int:
        """Features of this process: all, unless they are dealt to ranks."""
        return self.shard.count(self.d_sae)

    def needed_k(self) -> int:
        """Return `k`. Errors: ValueError where it is not set."""
        if self.k is None:
            raise ValueError("this architecture needs k")
        return self.k

    def needed_l1(self) -> float:
        """Return `l1`. Errors: ValueError where it is not set."""
        if self.l1 is None:
            raise ValueError("this architecture needs l1")
        return self.l1


class Sae(nn.Module, ABC):
    """A sparse autoencoder. Parameters are float32; training inputs are scaled and have shape [B, D]."""

    arch: ClassVar[str]
    """Name in the registry and in files."""
    dense_copies: ClassVar[int]
    """Arrays of [B, F] alive at once in a training step, measured at its peak (before the penalty has warmed up)."""
    l1_at_unit: ClassVar[float] = 1 / 16
    """Default `l1` divided by √d_in: activations grow like √d_in with inputs of E‖x - mean‖² = d_in (docs/log.md)."""
    lr_share: ClassVar[float] = 1.0
    """Default learning rate as a multiple of TopK's."""
    resamples: ClassVar[bool] = False
    """Whether dead features are re-initialised on schedule."""
    product_dtype: torch.dtype | None = None
    """Dtype of the encoder's product in training; None for the weights' own. All else is in the weights' dtype."""
    in_input_units: ClassVar[frozenset[str]] = frozenset({"b_enc", "b_dec"})
    """The tensors that scale in proportion to the inputs."""

    def __init__(self, settings: SaeSettings) -> None:
        super().__init__()
        self.settings = settings
        d, f = settings.d_in, settings.n_features
        # Stored feature by feature: the weights of one feature, and their gradient, are contiguous.
        self.W_enc = nn.Parameter(torch.empty(f, d).T)
        self.b_enc = nn.Parameter(torch.zeros(f))
        self.W_dec = nn.Parameter(torch.empty(f, settings.d_out or d))
        self.b_dec = nn.Parameter(torch.zeros(settings.d_out or d))
        if settings.d_out is not None:
            # A buffer, not a parameter: whatever it could learn, b_enc does.
            self.register_buffer("b_in", torch.zeros(d))
        if settings.skip:
            self.register_buffer("W_skip", torch.zeros(settings.d_out or d, d))

    @property
    def centre_D(self) -> Tensor:
        """The vector subtracted from inputs: b_dec, or b_in in a transcoder."""
        return self.b_dec if self.settings.d_out is None else self.get_buffer("b_in")

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Draw random unit encoder columns, set the decoder to their transpose (Gao et al. 2024, section 2.4).

        Here and in the overrides the centre starts at the mean of x. A transcoder's decoder rows are random too, and
        its b_dec starts at the mean of y: better than mapping the encoder's columns by the best linear map
        (docs/log.md).

        Args:
            mean_D: mean of the scaled inputs.
            generator: source of the random rows.
            mean_O: mean of the scaled y; None for an autoencoder.
        """
        shard, d_sae = self.settings.shard, self.settings.d_sae
        rows_FD = shard.drawn(d_sae, self.W_enc.shape[0], generator)
        rows_FD /= rows_FD.norm(dim=1, keepdim=True)
        self.W_enc.copy_(rows_FD.T)
        self.centre_D.copy_(mean_D)
        if mean_O is not None:
            self.b_dec.copy_(mean_O)
            rows_FD = shard.drawn(d_sae, self.W_dec.shape[1], generator)
            rows_FD /= rows_FD.norm(dim=1, keepdim=True)
        self.W_dec.copy_(rows_FD)

    def read_in(self, x_BD: Tensor) -> Tensor:
        """Return the encoder's input [B, D]: x, normalised where the dictionary does that, minus the centre."""
        return normalised(x_BD, self.settings.token_norm) - self.centre_D

    @property
    def denormalises(self) -> bool:
        """Whether `decode` must undo the per-token normalisation (never for transcoders)."""
        return self.settings.token_norm != "none" and self.settings.d_out is None

    def unit_of(self, x_BD: Tensor) -> Tensor | None:
        """Return each token's factor from decoder output to model activations [B, 1]; None where that is 1.

        When a feature's activation changes by Δf, the model's activation changes by unit · Δf · W_dec[i].
        """
        return moments(x_BD, self.settings.token_norm).scale_B1 if self.denormalises else None

    def pre_acts(self, x_BD: Tensor) -> Tensor:
        """Return encoder outputs before the activation function [B, F]."""
        return torch.addmm(self.b_enc, self.read_in(x_BD), self.W_enc)

    @torch.no_grad()
    def product(self, x_BD: Tensor) -> Tensor:
        """Return `pre_acts` without gradients [B, F], in `product_dtype`."""
        dtype = self.product_dtype
        if dtype is None:
            return self.pre_acts(x_BD)
        return functional.linear(self.read_in(x_BD).to(dtype), self.W_enc.T.to(dtype), self.b_enc.to(dtype))

    def activation(self, pre_BC: Tensor, feature_C: Tensor | slice = ALL) -> Tensor:
        """Return activations of selected features [B, C] from their pre-activations; not for TopK."""
        del feature_C
        return pre_BC.relu()

    def encode(self, x_BD: Tensor) -> SparseActs:
        """Return the active features of each token."""
        return positive_entries(self.activation(self.pre_acts(x_BD)))

    @torch.no_grad()
    def acts_of(self, x_BD: Tensor, feature_C: Tensor) -> Tensor:
        """Return activations of selected features [B, C], 0 where they do not fire; no product of size [B, F]."""
        return self.activation(self.pre_acts_of(x_BD, feature_C), feature_C)

    def pre_acts_of(self, x_BD: Tensor, feature_C: Tensor | slice) -> Tensor:
        """Return `pre_acts` of selected features [B, C]."""
        return torch.addmm(self.b_enc[feature_C], self.read_in(x_BD), self.W_enc.T[feature_C].T)

    def reach(self, norm: float) -> Tensor:
        """Return each feature's activation [F] on an input of this norm along its encoder column."""
        reach_F: Tensor = self.W_enc.norm(dim=0) * norm + self.b_enc.relu()
        return reach_F

    def loss(self, x_BD: Tensor, dead_F: Tensor | None, warmth: float, y_BO: Tensor | None = None) -> StepLoss:
        """Return the training loss: the architecture's own, plus AuxK while there are dead features.

        Args:
            x_BD: inputs, scaled.
            dead_F: True for features that have been silent for long; None when there are none.
            warmth: 0 to 1, how far the sparsity penalty has been warmed up.
            y_BO: the activations a transcoder predicts, scaled; None for an autoencoder.
        """
        step = self._step(x_BD, x_BD if y_BO is None else y_BO, dead_F, warmth)
        total, terms = step.total, {name: term.detach() for name, term in step.terms.items()}
        if dead_F is not None and step.aux is not None:
            pre_BF, weight = step.aux
            aux = self._auxiliary_loss(x_BD, pre_BF, step.error_BO.detach(), dead_F)
            terms["aux"] = aux.detach()
            total = total + weight * aux * aux_share(step.squared_error.detach(), step.variance)
        fired_F = step.entries.fired(step.active_V)
        error_BO, n_active = step.error_BO.detach(), self.settings.shard.total(step.active_V.sum())
        return StepLoss(total, terms, step.squared_error.detach(), step.variance, fired_F, n_active, error_BO)

    @abstractmethod
    def _step(self, x_BD: Tensor, y_BO: Tensor, dead_F: Tensor | None, warmth: float) -> LossParts:
        """Return the architecture's loss, as its class describes it, without AuxK; `y_BO` is `x_BD` or a target."""

    def pre_acts_at(self, x_BD: Tensor, entries: SparseEntries, known_V: Tensor) -> Tensor:
        """Return pre-activations of the entries, differentiable, from their known values."""
        centre_D = self.settings.shard.copied(self.centre_D)
        return pre_acts_at(x_BD, self.W_enc, self.b_enc, centre_D, entries, known_V)

    def decoded(self, act_V: Tensor, entries: SparseEntries, W_dec_FD: Tensor | None = None) -> Tensor:
        """Return Σ over all ranks' entries of act · row [rows, O], differentiable, without b_dec.

        Rows are those of W_dec, unless others are given.
        """
        return self.settings.shard.summed(decode(act_V, self.W_dec if W_dec_FD is None else W_dec_FD, entries))

    def _auxiliary_loss(self, x_BD: Tensor, pre_BF: Tensor, error_BO: Tensor, dead_F: Tensor) -> Tensor:
        """Return AuxK: ‖e - ê‖² / ‖e‖², ê from the `k_aux` dead features with the largest pre-activations.

        Without ReLU: a dead feature whose pre-activations are all negative would otherwise get no gradient and stay
        dead (docs/decisions/005).
        """
        known_BK, feature_BK = dead_entries(pre_BF, dead_F, self.settings.k_aux)
        known_V, entries = self.settings.shard.entries(
            known_BK, feature_BK, self.settings.k_aux, self.settings.n_features
        )
        act_V = self.pre_acts_at(x_BD, entries, known_V)
        return share_missed(error_BO, self.decoded(act_V, entries))

    def decode(self, acts: SparseActs, x_BD: Tensor | None = None) -> Tensor:
        """Return reconstructions [B, O] from active features, without a product of size [B, F].

        Args:
            acts: the active features.
            x_BD: the encoded tokens; needed by dictionaries with a token norm or a skip connection, whose output does
                not follow from features alone.

        Raises:
            MonosemError: the tokens are needed and were not given.
        """
        out_BO = self.settings.shard.total(decode_sparse(acts, self.W_dec)) + self.b_dec
        if not (self.denormalises or self.settings.skip):
            return out_BO
        if x_BD is None:
            what = "a skip connection" if self.settings.skip else f"token_norm {self.settings.token_norm}"
            raise MonosemError(
                f"an autoencoder with {what} cannot decode from features alone", "Use decode(acts, x) or forward(x)."
            )
        if self.denormalises:
            scale_B1, mean_B1 = moments(x_BD, self.settings.token_norm)
            out_BO = out_BO * scale_B1 + mean_B1
        return out_BO + x_BD @ self.get_buffer("W_skip").mT if self.settings.skip else out_BO

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return reconstructions [B, O]."""
        return self.decode(self.encode(x_BD), x_BD)

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Before the optimizer's step: remove the component of W_dec's gradient along its rows."""
        if self.W_dec.grad is not None:
            along_F1 = (self.W_dec.grad * self.W_dec).sum(1, keepdim=True)
            self.W_dec.grad.addcmul_(along_F1, self.W_dec, value=-1)

    @torch.no_grad()
    def constrain(self) -> None:
        """After the optimizer's step: scale decoder rows back to length 1."""
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(1e-12))

    @torch.no_grad()
    def unscaled(self, scale: float, y_scale: float | None = None) -> dict[str, Tensor]:
        """Return weights for raw activations, where training saw x · `scale`, and a transcoder y · `y_scale`.

        Every activation function here satisfies act(c·z) = c·act(z) once its thresholds are multiplied by c too, so
        dividing biases and thresholds by the scale is enough: features come out in the units of the model's own
        activations, and decoder rows keep length 1. A transcoder's features come out in the units of y: its encoder is
        multiplied by the ratio of the scales.
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
    """Return how many tokens to encode at once, so that pre-activations [N, F] stay within ENCODE_BYTES."""
    return max(1, ENCODE_BYTES // (4 * sae.settings.d_sae))


def decode_sparse(acts: SparseActs, W_dec_FD: Tensor) -> Tensor:
    """Return Σ_k act · W_dec[feature]: [B, O]."""
    return weighted_rows(acts.act_BK, W_dec_FD, acts.feature_BK)


def variance_of(y_BO: Tensor) -> Tensor:
    """Return Σ‖y - mean(y)‖² over a batch, a scalar."""
    return (y_BO - y_BO.mean(0)).square().sum()


def positive_entries(dense_BF: Tensor) -> SparseActs:
    """Return the positive entries of dense activations, padded to the token that has most of them."""
    active_B = (dense_BF > 0).sum(1)
    most = max(1, int(active_B.max())) if len(active_B) else 1
    act_BK, feature_BK = dense_BF.topk(most, dim=1)
    return SparseActs(act_BK, feature_BK)
