"""Entries that vary in number per token: those above a floor, or the largest of a whole batch.

Shapes: B tokens of a batch, D = d_in, F = d_sae, N entries in order of their places b·F + f, P parts per token (1
except in nested dictionaries), R = B · P rows, G groups, C candidate groups of S entries each.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from engine.sae.sparse.entries import ByFeature, EntryList
from engine.sae.sparse.products import SparseEntries, summed_by_feature, totals_by_feature

DENSE_FROM = 1 / 16
"""Share of selected entries from which a CPU is faster with dense matrices (docs/log.md)."""


class RaggedEntries(EntryList, SparseEntries):
    """Any number of entries per token. Tokens may be cut by feature into parts; each part is a row of `decode`."""

    def __init__(self, place_N: Tensor, tokens: int, d_sae: int, part_starts: tuple[int, ...] = (0,)) -> None:
        super().__init__(place_N % d_sae, tokens * len(part_starts), d_sae)
        self.place_N, self.tokens = place_N, tokens
        self.part_starts = part_starts

    def tokens_of(self, entry_N: Tensor) -> Tensor:
        """Return the rows that entries are summed into: a token, or a part of one."""
        return self.row_N[entry_N]

    @cached_property
    def row_start_R(self) -> Tensor:
        """The first entry of each row."""
        start_P = torch.tensor(self.part_starts, device=self.place_N.device)
        each_B = torch.arange(self.tokens, device=self.place_N.device)
        return torch.searchsorted(self.place_N, (each_B[:, None] * self.d_sae + start_P).flatten())

    @cached_property
    def row_N(self) -> Tensor:
        """The row that each entry is summed into."""
        end_R = torch.cat([self.row_start_R[1:], self.row_start_R.new_tensor([len(self.place_N)])])
        each_R = torch.arange(len(end_R), device=end_R.device)
        return each_R.repeat_interleave(end_R - self.row_start_R, output_size=len(self.place_N))

    @cached_property
    def whole(self) -> RaggedEntries:
        """The same entries with tokens not cut, without sorting them again."""
        if len(self.part_starts) == 1:
            return self
        same = RaggedEntries(self.place_N, self.tokens, self.d_sae)
        entry_N, _, start_G = self.by_feature
        same.by_feature = ByFeature(entry_N, same.tokens_of(entry_N), start_G)
        return same

    def gather(self, value_F: Tensor) -> Tensor:
        """See `SparseEntries`: [N]."""
        return value_F.index_select(0, self.feature_E)

    def scatter_sum(self, weight_N: Tensor) -> Tensor:
        """See `SparseEntries`: [F]."""
        return totals_by_feature(weight_N, self)

    def decode(self, weight_N: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [B · P, D], a row per part."""
        return functional.embedding_bag(
            self.feature_E, rows_FD, self.row_start_R, per_sample_weights=weight_N, mode="sum"
        )

    def grad_acts(self, left_RD: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [N]."""
        # The backward pass of an embedding bag in its weights: the only product of this kind that torch has.
        product_N: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            left_RD.contiguous(), rows_FD, self.feature_E, self.row_start_R, self.row_N, 0
        )
        return product_N

    def grad_rows(self, weight_N: Tensor, left_RD: Tensor) -> Tensor:
        """See `SparseEntries`: [F, D]."""
        return summed_by_feature(weight_N, left_RD, self)


class DenseEntries(SparseEntries):
    """All entries, [B, F]: faster than a list while many of them are active."""

    def gather(self, value_F: Tensor) -> Tensor:
        """See `SparseEntries`: [F]."""
        return value_F

    def scatter_sum(self, weight_BF: Tensor) -> Tensor:
        """See `SparseEntries`: [F]."""
        return weight_BF.sum(0)

    def fired(self, active_BF: Tensor) -> Tensor:
        """See `SparseEntries`: [F]."""
        return active_BF.any(0)

    def decode(self, weight_BF: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [B, D]."""
        return weight_BF @ rows_FD

    def grad_acts(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """See `SparseEntries`: [B, F]."""
        return left_BD @ rows_FD.T

    def grad_rows(self, weight_BF: Tensor, left_BD: Tensor) -> Tensor:
        """See `SparseEntries`: [F, D]."""
        return weight_BF.T @ left_BD


def above(
    pre_BF: Tensor, floor: Tensor | float, dense_from: float = DENSE_FROM
) -> tuple[Tensor, RaggedEntries | DenseEntries]:
    """Return the values and entries above a floor (scalar or [F]); all entries where a list would be slower."""
    above_BF = pre_BF > floor
    if int(above_BF.count_nonzero()) > dense_from * pre_BF.numel():
        return pre_BF, DenseEntries()
    place_N = places_of(above_BF)
    return pre_BF.flatten()[place_N], RaggedEntries(place_N, *pre_BF.shape)


def places_of(mask_BF: Tensor) -> Tensor:
    """Return where a mask is true, as b·F + f ascending: `nonzero`, but four times as fast for sparse masks."""
    mask = mask_BF.flatten()
    if mask.numel() % 8:
        return mask.nonzero().squeeze(1)
    eight = mask.view(torch.int64).nonzero()
    which, place_N = mask.view(-1, 8)[eight.squeeze(1)].nonzero().unbind(1)
    return eight[which, 0] * 8 + place_N


def largest_of_all(pre_BF: Tensor, n: int) -> Tensor:
    """Return the places b·F + f, ascending, of the `n` largest values of the batch; ties are broken arbitrarily.

    At least n entries reach the n-th largest of the maxima of disjoint groups. That floor selects candidates: groups
    of a quarter of the size whose maximum reaches it. A top-k over the candidates alone is then exact.
    """
    size = _group_size(pre_BF, n)
    maxima_BG = _maxima(pre_BF, size // 4) if size > 4 else pre_BF
    coarse_BG = _maxima(maxima_BG, min(size, 4))
    floor = coarse_BG.flatten().topk(n, sorted=False).values.amin()
    group_C = places_of(maxima_BG >= floor)
    groups = maxima_BG.shape[1]
    member_S = groups * torch.arange(pre_BF.shape[1] // groups, device=pre_BF.device)
    first_C = group_C // groups * pre_BF.shape[1] + group_C % groups
    place_N = (first_C[:, None] + member_S).flatten()
    value_N = pre_BF.flatten()[place_N]
    # With NaN nothing reaches the floor; the training loop reports it.
    return place_N[value_N.topk(min(n, len(value_N)), sorted=False).indices].sort().values


def _group_size(pre_BF: Tensor, n: int) -> int:
    """Return a power of two that divides the width and leaves eight groups per entry wanted; or 1."""
    size, width = 1, pre_BF.shape[1]
    while size < 64 and width % (2 * size) == 0 and 16 * size * n <= pre_BF.numel():
        size *= 2
    return size


def _maxima(value_BF: Tensor, size: int) -> Tensor:
    """Return the maxima of groups of `size` columns, F / size apart."""
    n_rows, width = value_BF.shape
    return value_BF.view(n_rows, size, width // size).amax(1) if size > 1 else value_BF
