"""Features of one dictionary dealt to ranks, and what the ranks then tell each other in a training step.

Rank r of W has the features r, r + W, r + 2W, …, so that each prefix of the dictionary is dealt evenly too. Inputs and
errors are the same on all ranks. Forward, the ranks add up their parts of the reconstruction and choose the largest
pre-activations of all; backward, each computes the gradients of its own features alone, and only what an input to
every encoder gets (b_dec) is added up.

Shapes: B tokens of a batch, D a width, F all features, C features of this rank, K candidates of a row, R rows, N kept
entries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from engine.ranks.group import ALONE, Ranks, stopping_together
from engine.sae.sparse.products import SparseEntries, TopKEntries

DRAWN = 1 << 22
"""Numbers drawn at once, about."""
BLOCK = 16
"""torch draws normal numbers in blocks of so many: pieces of whole blocks are the same as one draw."""


@dataclass(frozen=True)
class FeatureShard:
    """The features of one rank; by default all of them. What it does then changes nothing."""

    ranks: Ranks = ALONE

    @property
    def alone(self) -> bool:
        """Whether all features are here."""
        return self.ranks.alone

    @property
    def own(self) -> slice:
        """The features of this rank, as an index of all."""
        return slice(self.ranks.rank, None, self.ranks.number)

    def count(self, features: int) -> int:
        """Return how many of the first `features` of all features are here."""
        return max(0, -(-(features - self.ranks.rank) // self.ranks.number))

    def drawn(self, features: int, width: int, generator: torch.Generator) -> Tensor:
        """Draw normal rows for all features and return those of this rank [C, D]: the same for any number of ranks."""
        rows = max(1, DRAWN // width // BLOCK) * BLOCK
        if self.alone or features <= 2 * rows:
            return torch.randn(features, width, generator=generator)[self.own].contiguous()
        found_CD = torch.empty(self.count(features), width)
        # The last piece takes the rest: below a block, torch draws otherwise.
        starts = list(range(0, features - rows + 1, rows))
        for first, stop in zip(starts, [*starts[1:], features], strict=True):
            piece_RD = torch.randn(stop - first, width, generator=generator)
            here = slice(self.count(first), self.count(stop))
            found_CD[here] = piece_RD[(self.ranks.rank - first) % self.ranks.number :: self.ranks.number]
        return found_CD

    def summed(self, part: Tensor) -> Tensor:
        """Return the sum over ranks, differentiable: each rank computes the whole gradient of it, so none is sent."""
        return part if self.alone else _Summed.apply(part)  # type: ignore[no-untyped-call]

    def copied(self, whole: Tensor) -> Tensor:
        """Return what all ranks have alike and use with their own features: its gradient is the sum of theirs."""
        return whole if self.alone else _Copied.apply(whole)  # type: ignore[no-untyped-call]

    def total(self, part: Tensor) -> Tensor:
        """Return the sum over ranks, without gradients."""
        return part if self.alone else reduced(part, distributed.ReduceOp.SUM)

    def least(self, value: Tensor) -> Tensor:
        """Return the least over ranks, without gradients."""
        return value if self.alone else reduced(value, distributed.ReduceOp.MIN)

    def entries(self, known_BK: Tensor, feature_BK: Tensor, k: int, width: int) -> tuple[Tensor, SparseEntries]:
        """Return the values and entries of each token's `k` largest over all ranks.

        Args:
            known_BK: values of this rank's candidates, at least its `k` largest.
            feature_BK: their columns among `width` of this rank.
            k: entries per token, all ranks together.
            width: features of this rank, C.
        """
        if self.alone:
            return known_BK, TopKEntries(feature_BK, width)
        from engine.sae.sparse.ragged import RaggedEntries

        kept_BK = self.among_largest(known_BK, k)
        first_B1 = width * torch.arange(len(known_BK), device=known_BK.device)[:, None]
        place_N, order_N = (first_B1 + feature_BK)[kept_BK].sort()
        return known_BK[kept_BK][order_N], RaggedEntries(place_N, len(known_BK), width)

    def among_largest(self, value_RK: Tensor, k: int) -> Tensor:
        """Return which values are among the `k` largest of their row over all ranks [R, K].

        Of equal ones those of lower ranks are. NaN counts as large, so that a training that has gone wrong is noticed.
        """
        if self.alone:
            return torch.ones_like(value_RK, dtype=torch.bool)
        all_WRK = self._gathered(value_RK.float(), k)
        own_RK = value_RK.float()
        least_R1 = all_WRK.transpose(0, 1).flatten(1).topk(k, dim=1, sorted=False).values.amin(1, keepdim=True)
        more_RK, equal_RK = ~(own_RK <= least_R1), own_RK == least_R1
        equal_WR = (all_WRK == least_R1).sum(2)
        room_R1 = k - (~(all_WRK <= least_R1)).sum((0, 2))[:, None]
        room_R1 = room_R1 - equal_WR[: self.ranks.rank].sum(0)[:, None]
        return more_RK | (equal_RK & (equal_RK.cumsum(1) <= room_R1))

    def all_ids(self, own_A: Tensor, features: int) -> Tensor:
        """Return some features of all ranks by their numbers among `features`, ascending, from those of this rank."""
        flag_F = torch.zeros(features, dtype=torch.uint8, device=own_A.device)
        flag_F[self.own][own_A] = 1
        return self.total(flag_F).nonzero().squeeze(1)

    def is_own(self, feature_A: Tensor) -> Tensor:
        """Return which of some features, by their numbers among all, are here."""
        return feature_A % self.ranks.number == self.ranks.rank

    def _gathered(self, value_RK: Tensor, k: int) -> Tensor:
        """Return the values of all ranks, filled up to `k` a row: [ranks, R, k]."""
        filled_RK = value_RK.new_full((len(value_RK), k), -math.inf)
        filled_RK[:, : value_RK.shape[1]] = value_RK
        found_WRK = filled_RK.new_empty(self.ranks.number, *filled_RK.shape)
        with stopping_together():
            distributed.all_gather(list(found_WRK.unbind()), filled_RK)
        return found_WRK

    def collected(self, part: Tensor, axis: int, features: int) -> Tensor | None:
        """Return an array of all features on the first rank, from each rank's part of it along `axis`; else None."""
        if self.alone:
            return part
        rows = part.movedim(axis, 0).contiguous().cpu()
        with stopping_together():
            if not self.ranks.first:
                distributed.send(rows, 0)
                return None
            whole = rows.new_empty(features, *rows.shape[1:])
            whole[self.own] = rows
            for rank in range(1, self.ranks.number):
                other = FeatureShard(Ranks(rank, self.ranks.number))
                theirs = rows.new_empty(other.count(features), *rows.shape[1:])
                distributed.recv(theirs, rank)
                whole[other.own] = theirs
        return whole.movedim(0, axis)


ALL_FEATURES = FeatureShard()


def reduced(part: Tensor, how: Any) -> Tensor:
    """Return the sum, or another reduction, of all ranks' tensors of one shape."""
    found = part.detach().clone(memory_format=torch.contiguous_format)
    with stopping_together():
        distributed.all_reduce(found, how)
    return found


class _Summed(Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        del ctx
        return reduced(part, distributed.ReduceOp.SUM)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        del ctx
        return grad


class _Copied(Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor) -> Tensor:
        del ctx
        return whole.view_as(whole)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        del ctx
        return reduced(grad, distributed.ReduceOp.SUM)
