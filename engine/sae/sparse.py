"""Products with the few active features of a token, forward and backward written out by hand.

After the encoder's own product nothing of size [B, F] is multiplied: a token costs K rows of a weight matrix. What
autograd would scatter entry by entry is summed feature by feature instead, over entries sorted once a step.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token, E = B·K entries, V the shape of
entries' values, which depends on how they were chosen.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

WIDE = 4096
"""Length of a row from which on looking at groups first pays."""


class ByFeature(NamedTuple):
    """The entries of a batch, put in order of their features."""

    entry_E: Tensor
    """Number of each entry, b·K + k."""
    start_F: Tensor
    """Where each feature's entries begin."""


class Chosen(Protocol):
    """Some of the entries of [B, F], and the products with values of theirs, which have a shape of their own, V."""

    def of(self, value_F: Tensor) -> Tensor:
        """Each entry's share of one value a feature, differentiable: V, or what broadcasts to it."""

    def totals(self, weight_V: Tensor) -> Tensor:
        """Σ over a feature's entries, differentiable: [F]."""

    def fired(self, active_V: Tensor) -> Tensor:
        """True for features with an entry that is active [F]."""

    def rows(self, weight_V: Tensor, rows_FD: Tensor) -> Tensor:
        """Σ over a token's entries of weight · row: [B, D]."""

    def products(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """Each entry's left[token] · rows[feature]: V."""

    def sums(self, weight_V: Tensor, left_BD: Tensor) -> Tensor:
        """Σ over a feature's entries of weight · left[token]: [F, D]."""


class Entries(Chosen):
    """K entries in every token, and the same by feature once somebody asks for it."""

    def __init__(self, feature_BK: Tensor, d_sae: int) -> None:
        self.feature_BK = feature_BK
        self.d_sae = d_sae

    def of(self, value_F: Tensor) -> Tensor:
        """[B, K]."""
        return value_F.index_select(0, self.feature_BK.flatten()).view_as(self.feature_BK)

    def totals(self, weight_BK: Tensor) -> Tensor:
        """[F]."""
        return weight_BK.new_zeros(self.d_sae).index_add(0, self.feature_BK.flatten(), weight_BK.flatten())

    def fired(self, active_BK: Tensor) -> Tensor:
        """[F]."""
        fired_F = torch.zeros(self.d_sae, dtype=torch.bool, device=active_BK.device)
        fired_F[self.feature_BK[active_BK]] = True
        return fired_F

    def rows(self, weight_BK: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, D]."""
        return weighted_rows(weight_BK, rows_FD, self.feature_BK)

    def products(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, K]."""
        return row_products(left_BD, rows_FD, self.feature_BK)

    def sums(self, weight_BK: Tensor, left_BD: Tensor) -> Tensor:
        """[F, D]."""
        return summed_by_feature(weight_BK, left_BD, self)

    @cached_property
    def by_feature(self) -> ByFeature:
        """Stable, so that sums have one order and a resumed run the same bits."""
        feature_E = self.feature_BK.flatten()
        count_F = torch.bincount(feature_E, minlength=self.d_sae)
        return ByFeature(feature_E.int().argsort(stable=True), count_F.cumsum(0) - count_F)


def largest(pre_BF: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest of each row and where they are, in no order.

    In wide rows the largest of each of several columns of groups is found first, which the processor does at the speed
    of memory; the `k` largest lie in the `k` groups with the largest such maxima. Half the time of torch's own top-k at
    24 576 (docs/benchmarks.md).
    """
    n_rows, width = pre_BF.shape
    size = 1 << max(0, int((width / k) ** 0.5).bit_length() - 2)
    if width < WIDE or size < 4 or width % size or width // size < 2 * k:
        value_BK, feature_BK = pre_BF.topk(k, dim=1, sorted=False)
        return value_BK, feature_BK
    groups = width // size
    _, group_BK = pre_BF.view(n_rows, size, groups).amax(1).topk(k, dim=1, sorted=False)
    member_S = groups * torch.arange(size, device=pre_BF.device)
    candidate_BC = (group_BK[:, None, :] + member_S[None, :, None]).view(n_rows, size * k)
    value_BK, place_BK = pre_BF.gather(1, candidate_BC).topk(k, dim=1, sorted=False)
    return value_BK, candidate_BC.gather(1, place_BK)


def weighted_rows(weight_BK: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """Σ_k weight[b, k] · rows[feature[b, k]]: [B, D]."""
    return functional.embedding_bag(feature_BK, rows_FD, per_sample_weights=weight_BK, mode="sum")


def row_products(left_BD: Tensor, rows_FD: Tensor, feature_BK: Tensor) -> Tensor:
    """left[b] · rows[feature[b, k]]: [B, K], without a copy of the rows."""
    n_tokens, k = feature_BK.shape
    bag_E = torch.arange(n_tokens, device=left_BD.device).repeat_interleave(k)
    start_B = torch.arange(0, n_tokens * k, k, device=left_BD.device)
    # What autograd calls for the weights of an embedding bag: the one such product that torch has.
    product_E: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        left_BD.contiguous(), rows_FD, feature_BK.flatten(), start_B, bag_E, 0
    )
    return product_E.view(n_tokens, k)


def summed_by_feature(weight_BK: Tensor, left_BD: Tensor, entries: Entries) -> Tensor:
    """Σ over a feature's entries of weight[b, k] · left[b]: [F, D]."""
    entry_E, start_F = entries.by_feature
    token_E = entry_E // weight_BK.shape[1]
    return functional.embedding_bag(
        token_E, left_BD, start_F, per_sample_weights=weight_BK.flatten()[entry_E], mode="sum"
    )


class _PreActs(torch.autograd.Function):
    """(x[b] - centre) · W_enc[:, feature] + b_enc[feature] for the entries alone. Gives x no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, centre_D: Tensor, entries: Chosen, known_V: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x_BD - centre_D, W_enc_DF)
        ctx.entries = entries
        return known_V.to(b_enc_F.dtype).view_as(known_V)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_V: Tensor) -> tuple[Tensor | None, ...]:
        centred_BD, W_enc_DF = ctx.saved_tensors
        W_grad_FD = ctx.entries.sums(grad_V, centred_BD)
        b_grad_F = ctx.entries.totals(grad_V)
        centre_grad_D = -(W_enc_DF @ b_grad_F) if ctx.needs_input_grad[3] else None
        return None, W_grad_FD.T, b_grad_F, centre_grad_D, None, None


class _Decode(torch.autograd.Function):
    """Σ over a token's entries of act · W_dec[feature]."""

    @staticmethod
    def forward(ctx: Any, act_V: Tensor, W_dec_FD: Tensor, entries: Chosen) -> Tensor:
        ctx.save_for_backward(act_V, W_dec_FD)
        ctx.entries = entries
        return entries.rows(act_V, W_dec_FD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BD: Tensor) -> tuple[Tensor | None, ...]:
        act_V, W_dec_FD = ctx.saved_tensors
        of_acts, of_rows, _ = ctx.needs_input_grad
        act_grad_V = ctx.entries.products(grad_BD, W_dec_FD) if of_acts else None
        return act_grad_V, ctx.entries.sums(act_V, grad_BD) if of_rows else None, None


def pre_acts_at(
    x_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, centre_D: Tensor, entries: Chosen, known_V: Tensor
) -> Tensor:
    """Pre-activations of chosen entries, differentiable in weights and biases.

    `known_V` is what the encoder's product gave for them: it is not computed again, and must not be changed.
    """
    return _PreActs.apply(x_BD, W_enc_DF, b_enc_F, centre_D, entries, known_V)  # type: ignore[no-any-return, no-untyped-call]


def decode(act_V: Tensor, W_dec_FD: Tensor, entries: Chosen) -> Tensor:
    """Reconstructions without b_dec [B, D], differentiable in both."""
    return _Decode.apply(act_V, W_dec_FD, entries)  # type: ignore[no-any-return, no-untyped-call]
