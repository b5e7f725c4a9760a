"""Rows of the list of pairs as arrays: each feature with its partner, in one comparison, in all, or as a tree.

Shapes: N rows, H comparisons, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from monosem_tui.model.comparisons import HeldComparison
from store.comparison.figures import NO_PARTNER, Comparison
from store.comparison.splitting_tree import small_first, splitting_tree

PairSort = Literal["r", "cosine", "n", "id"]
PAIR_SORTS: tuple[PairSort, ...] = get_args(PairSort)
Numbers = NDArray[np.int64]
ALONE = 0.3
"""A judged feature has no counterpart if its best partner has a smaller r, or if it has none."""


@dataclass(frozen=True)
class PairTable:
    """Pairs of features, a row each; zeros and NO_PARTNER where there is no partner."""

    held_N: Numbers
    """Number of the comparison that a row is of."""
    first_N: Numbers
    """Feature of the side that is listed."""
    second_N: Numbers
    """Its partner on the other side; NO_PARTNER for one without, and for roots of a tree."""
    r_N: NDArray[np.float32]
    """In a table over all comparisons, the least of them."""
    cosine_N: NDArray[np.float32]
    n_N: Numbers
    mutual_N: NDArray[np.bool_]
    first_is_mine: bool = True
    """Whether the listed side is the open run."""
    each_NH: NDArray[np.float32] | None = None
    """In a table over all comparisons: r in each."""
    root_N: NDArray[np.bool_] | None = None
    """In a tree: which rows are roots."""
    within_N: NDArray[np.float32] | None = None
    """In a tree: share of the branch's activation on units where the root fires."""
    covers_N: NDArray[np.float32] | None = None
    """In a tree: share of the root's activation on units where the branch fires."""

    def __len__(self) -> int:
        return len(self.first_N)

    @property
    def alone_N(self) -> NDArray[np.bool_]:
        """Rows whose feature has no counterpart: in any comparison, or in a tree without branches."""
        if self.root_N is not None:
            childless_N: NDArray[np.bool_] = self.root_N & np.append(self.root_N[1:], np.ones(min(1, len(self)), bool))
            return childless_N
        best_N = self.r_N if self.each_NH is None else self.each_NH.max(axis=1, initial=0)
        alone_N: NDArray[np.bool_] = best_N < ALONE
        return alone_N

    def ordered(self, rows_K: Numbers, sort: PairSort, *, descending: bool) -> Numbers:
        """Return some rows in the order of a column, ties by feature; rows of a tree stay below their roots."""
        if self.root_N is not None:
            return rows_K
        values: dict[PairSort, NDArray[Any]] = {
            "r": self.r_N,
            "cosine": np.nan_to_num(self.cosine_N, nan=-2),
            "n": self.n_N,
            "id": self.first_N,
        }
        key_K = values[sort][rows_K].astype(np.float64)
        ordered_K: Numbers = rows_K[np.lexsort((self.first_N[rows_K], -key_K if descending else key_K))]
        return ordered_K


def pairs_of(held: HeldComparison, number: int, *, mine: bool = True) -> PairTable:
    """Return the judged features of one side of a comparison, each with its best partner on the other.

    Args:
        held: the comparison.
        number: its number.
        mine: whether those of the open run, or those of the other.
    """
    side = held.side(theirs=not mine)
    judged = np.flatnonzero(side.judged_F)
    has_partner = side.partner_F[judged] != NO_PARTNER
    return PairTable(
        np.full(len(judged), number),
        judged,
        side.partner_F[judged].astype(np.int64),
        np.where(has_partner, side.r_F[judged], np.float32(0)),
        side.cosine_F[judged],
        side.joint_F[judged],
        side.mutual_F[judged],
        first_is_mine=mine,
    )


def pairs_in_all(held: Sequence[HeldComparison]) -> PairTable:
    """Return the features of the open run that every comparison has judged, with the least r of their partners."""
    sides = [one.side() for one in held]
    judged = np.flatnonzero(np.logical_and.reduce([side.judged_F for side in sides]))
    partner_NH = np.stack([side.partner_F[judged] for side in sides], axis=1)
    each_NH = np.where(partner_NH == NO_PARTNER, 0, np.stack([side.r_F[judged] for side in sides], axis=1))
    n_NH = np.stack([side.joint_F[judged] for side in sides], axis=1)
    least_N = each_NH.argmin(axis=1) if len(judged) else np.zeros(0, np.int64)
    at = np.arange(len(judged))
    return PairTable(
        least_N,
        judged,
        partner_NH[at, least_N].astype(np.int64),
        each_NH[at, least_N].astype(np.float32),
        np.full(len(judged), np.nan, np.float32),
        n_NH[at, least_N],
        np.logical_and.reduce([side.mutual_F[judged] for side in sides]),
        each_NH=each_NH.astype(np.float32),
    )


def partners_of(held: Sequence[HeldComparison], feature: int) -> PairTable:
    """Return one feature of the open run with its partner in each comparison."""
    sides = [one.side() for one in held]
    partner_N = np.array([side.partner_F[feature] for side in sides], np.int64)
    return PairTable(
        np.arange(len(sides)),
        np.full(len(sides), feature),
        partner_N,
        np.array([side.r_F[feature] for side in sides], np.float32),
        np.array([side.cosine_F[feature] for side in sides], np.float32),
        np.array([side.joint_F[feature] for side in sides], np.int64),
        np.array([side.mutual_F[feature] for side in sides], bool),
    )


def tree_of(held: HeldComparison, number: int) -> PairTable:
    """Return the features of the smaller dictionary, and below each those of the larger one that it becomes."""
    tree = splitting_tree([held.comparison])
    rows: list[tuple[int, int, float, float, float, bool]] = []
    for root in tree.roots:
        rows.append((root.feature, NO_PARTNER, 0.0, 0.0, 0.0, False))
        rows += [(root.feature, b.feature, b.r, b.within, b.covers, b.mutual) for b in root.children]
    first, second, r, within, covers, mutual = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 6
    )
    small, large = small_first(held.comparison)
    return PairTable(
        np.full(len(rows), number),
        first.astype(np.int64),
        second.astype(np.int64),
        r.astype(np.float32),
        np.full(len(rows), np.nan, np.float32),
        _joint(held.comparison, large, second.astype(np.int64)),
        mutual.astype(bool),
        first_is_mine=small == held.mine,
        root_N=second.astype(np.int64) == NO_PARTNER,
        within_N=within.astype(np.float32),
        covers_N=covers.astype(np.float32),
    )


def _joint(comparison: Comparison, large: int, second_N: Numbers) -> Numbers:
    joint_F = comparison.sides[large].joint_F
    n_N: Numbers = np.where(second_N == NO_PARTNER, 0, joint_F[np.maximum(second_N, 0)]) if len(joint_F) else second_N
    return n_N
