"""Entries of which some tokens have more, others fewer: those above a floor, or the largest of a whole batch.

Shapes: B tokens of a batch, D = d_in, F = d_sae, N entries in order of their places b·F + f, P parts of a token (1, but
in nested dictionaries), R = B · P rows, G groups, C groups looked into of S entries each.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from engine.sae.sparse.entries import ByFeature, Listed
from engine.sae.sparse.products import Chosen, summed_by_feature, totals_by_feature

DENSE_FROM = 1 / 16
"""Share of all entries from which on the processor is faster with the whole matrix (docs/log.md)."""


class Ragged(Listed, Chosen):
    """Any number of entries a token. A token may be cut into parts, by feature, each a row of what `rows` gives."""

    def __init__(self, place_N: Tensor, tokens: int, d_sae: int, part_starts: tuple[int, ...] = (0,)) -> None:
        super().__init__(place_N % d_sae, tokens * len(part_starts), d_sae)
        self.place_N, self.tokens = place_N, tokens
        self.part_starts = part_starts

    def tokens_of(self, entry_N: Tensor) -> Tensor:
        """The rows that entries are summed into: a token, or a part of one."""
        return self.row_N[entry_N]

    @cached_property
    def row_start_R(self) -> Tensor:
        """Where each token's parts begin."""
        start_P = torch.tensor(self.part_starts, device=self.place_N.device)
        each_B = torch.arange(self.tokens, device=self.place_N.device)
        return torch.searchsorted(self.place_N, (each_B[:, None] * self.d_sae + start_P).flatten())

    @cached_property
    def row_N(self) -> Tensor:
        """Which row each entry is summed into."""
        end_R = torch.cat([self.row_start_R[1:], self.row_start_R.new_tensor([len(self.place_N)])])
        each_R = torch.arange(len(end_R), device=end_R.device)
        return each_R.repeat_interleave(end_R - self.row_start_R, output_size=len(self.place_N))

    @cached_property
    def whole(self) -> Ragged:
        """The same entries in tokens that are not cut, without sorting them again."""
        if len(self.part_starts) == 1:
            return self
        same = Ragged(self.place_N, self.tokens, self.d_sae)
        entry_N, _, start_G = self.by_feature
        same.by_feature = ByFeature(entry_N, same.tokens_of(entry_N), start_G)
        return same

    def of(self, value_F: Tensor) -> Tensor:
        """[N]."""
        return value_F.index_select(0, self.feature_E)

    def totals(self, weight_N: Tensor) -> Tensor:
        """[F]."""
        return totals_by_feature(weight_N, self, self.feature_E)

    def fired(self, active_N: Tensor) -> Tensor:
        """[F]."""
        fired_F = torch.zeros(self.d_sae, dtype=torch.bool, device=active_N.device)
        fired_F[self.feature_E[active_N]] = True
        return fired_F

    def rows(self, weight_N: Tensor, rows_FD: Tensor) -> Tensor:
        """[B · P, D]."""
        return functional.embedding_bag(
            self.feature_E, rows_FD, self.row_start_R, per_sample_weights=weight_N, mode="sum"
        )

    def products(self, left_RD: Tensor, rows_FD: Tensor) -> Tensor:
        """[N]."""
        # What autograd calls for the weights of an embedding bag: the one such product that torch has.
        product_N: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            left_RD.contiguous(), rows_FD, self.feature_E, self.row_start_R, self.row_N, 0
        )
        return product_N

    def sums(self, weight_N: Tensor, left_RD: Tensor) -> Tensor:
        """[F, D]."""
        return summed_by_feature(weight_N, left_RD, self)


class Everything(Chosen):
    """All entries, [B, F]: for as long as too many of them count for a list to pay."""

    def of(self, value_F: Tensor) -> Tensor:
        """[F]."""
        return value_F

    def totals(self, weight_BF: Tensor) -> Tensor:
        """[F]."""
        return weight_BF.sum(0)

    def fired(self, active_BF: Tensor) -> Tensor:
        """[F]."""
        return active_BF.any(0)

    def rows(self, weight_BF: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, D]."""
        return weight_BF @ rows_FD

    def products(self, left_BD: Tensor, rows_FD: Tensor) -> Tensor:
        """[B, F]."""
        return left_BD @ rows_FD.T

    def sums(self, weight_BF: Tensor, left_BD: Tensor) -> Tensor:
        """[F, D]."""
        return weight_BF.T @ left_BD


def above(pre_BF: Tensor, floor: Tensor | float) -> tuple[Tensor, Ragged | Everything]:
    """The entries above a floor, one for all features or one each; or all entries, where a list would not pay."""
    above_BF = pre_BF > floor
    if int(above_BF.count_nonzero()) > DENSE_FROM * pre_BF.numel():
        return pre_BF, Everything()
    place_N = places_of(above_BF)
    return pre_BF.flatten()[place_N], Ragged(place_N, *pre_BF.shape)


def places_of(mask_BF: Tensor) -> Tensor:
    """Where a mask is true, as b·F + f in order: `nonzero`, four times as fast where little is true."""
    mask = mask_BF.flatten()
    if mask.numel() % 8:
        return mask.nonzero().squeeze(1)
    eight = mask.view(torch.int64).nonzero()
    which, place_N = mask.view(-1, 8)[eight.squeeze(1)].nonzero().unbind(1)
    return eight[which, 0] * 8 + place_N


def largest_of_all(pre_BF: Tensor, n: int) -> Tensor:
    """Places b·F + f, in order, of the `n` largest of the batch; which of equal ones is not said.

    The n-th largest among the maxima of disjoint groups is a floor that n entries reach at least. Only groups of a
    quarter of that size, and of those only the ones whose maximum reaches the floor, are looked into.
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
    # Where numbers are not finite, nothing reaches the floor; the training loop says so.
    return place_N[value_N.topk(min(n, len(value_N)), sorted=False).indices].sort().values


def _group_size(pre_BF: Tensor, n: int) -> int:
    """A power of two that divides the width, and leaves eight groups for each entry looked for; or 1."""
    size, width = 1, pre_BF.shape[1]
    while size < 64 and width % (2 * size) == 0 and 16 * size * n <= pre_BF.numel():
        size *= 2
    return size


def _maxima(value_BF: Tensor, size: int) -> Tensor:
    """Of groups of columns, F / size apart."""
    n_rows, width = value_BF.shape
    return value_BF.view(n_rows, size, width // size).amax(1) if size > 1 else value_BF
