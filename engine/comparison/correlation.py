"""Best partners: for each feature of one dictionary the feature of another that correlates most, from sparse products.

Pearson's r of features a and b over U units is (U Σab − Σa Σb) / √((U Σa² − (Σa)²)(U Σb² − (Σb)²)). Only pairs that
fire together have a Σab; all others have r ≤ 0 and are never a best partner. Shapes: A features of the first
dictionary, B of the second, U units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.comparison.block_threads import in_order
from engine.comparison.unit_matrix import Alignment, Sparse, release_pages
from store.comparison.figures import NO_PARTNER

Figures = NDArray[np.float64]
FEATURES = 128
"""Features that are summed, or measured beside their partners, at once."""
PAIR_BYTES = 64
"""Bytes of one pair of features while it becomes r: its entry, its places, four numbers, and the same by column."""


@dataclass(frozen=True)
class Sums:
    """Sums of each feature's values over units, and how many units there are."""

    first_F: Figures
    square_F: Figures
    count_F: NDArray[np.int64]
    """Units on which each feature fires."""
    units: int

    @classmethod
    def of(cls, acts_FU: Sparse, side: int, aligned: Alignment) -> Sums:
        """Sum a side's values over the units that count."""
        sums, count_F = np.zeros((2, acts_FU.shape[0])), np.zeros(acts_FU.shape[0], np.int64)
        for rows in feature_blocks(acts_FU.shape[0]):
            block = aligned.align(acts_FU[rows], side)
            release_pages(acts_FU.indices, acts_FU.data)
            count_F[rows] = np.diff(block.indptr)
            for feature, (start, stop) in enumerate(pairwise(block.indptr.tolist()), rows.start):
                values = block.data[start:stop]
                sums[:, feature] = values.sum(), values @ values
        return cls(sums[0], sums[1], count_F, aligned.n_units)

    @property
    def deviation_F(self) -> Figures:
        """√(U Σa² − (Σa)²), U times the standard deviation; 0 for constant features."""
        spread: Figures = np.sqrt(np.maximum(self.units * self.square_F - self.first_F**2, 0))
        return spread


@dataclass(frozen=True)
class Partners:
    """The best partner of each feature, and their correlation; NO_PARTNER and 0 without one."""

    partner_F: NDArray[np.int64]
    r_F: Figures


def feature_blocks(n_features: int) -> Iterator[slice]:
    """Yield blocks of FEATURES features."""
    return (slice(start, min(start + FEATURES, n_features)) for start in range(0, n_features, FEATURES))


def best_partners(
    acts_AU: Sparse,
    acts_UB: Sparse,
    aligned: Alignment,
    sums: tuple[Sums, Sums],
    judged: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    memory: int,
    jobs: int = 1,
) -> tuple[Partners, Partners]:
    """Find the best partner of every judged feature of two dictionaries, among the judged ones of the other.

    Args:
        acts_AU: activations of one dictionary.
        acts_UB: activations of the other, by unit, in float64.
        aligned: the units that count.
        sums: of both dictionaries over these units.
        judged: which features of each dictionary are compared.
        memory: bytes that pairs may take; the work is done in blocks of features of the first dictionary.
        jobs: threads, which share the memory. The partners are the same for any number.

    Returns:
        Partners of the first's features, and of the second's. Of several partners with the same r the lowest id wins.
    """
    n_first, n_second = acts_AU.shape[0], acts_UB.shape[1]
    best_A, best_B = (Partners(np.full(n, NO_PARTNER), np.zeros(n)) for n in (n_first, n_second))
    block = max(1, memory // (PAIR_BYTES * max(1, n_second) * jobs))

    def tops_of(start: int) -> tuple[_Tops, _Tops]:
        stop = min(start + block, n_first)
        mine = aligned.align(acts_AU[start:stop], 0)
        release_pages(acts_AU.indices, acts_AU.data)
        pairs = mine @ acts_UB
        del mine
        release_pages(acts_UB.indices, acts_UB.data)
        row_E = np.repeat(np.arange(start, stop), np.diff(pairs.indptr))
        _to_r(pairs.data, row_E, pairs.indices, *sums)
        pairs.data[~(judged[0][row_E] & judged[1][pairs.indices])] = 0
        del row_E
        return _Tops.of(pairs, start, 0), _Tops.of(pairs.tocsc(), 0, start)

    for top_A, top_B in in_order(tops_of, range(0, n_first, block), jobs):
        top_A.improve(best_A)
        top_B.improve(best_B)
    return best_A, best_B


def _to_r(product_E: Figures, a_E: NDArray[np.int64], b_E: NDArray[np.int32], a_sums: Sums, b_sums: Sums) -> None:
    """Turn Σab of pairs of features into r, in place; 0 where one of the two is constant."""
    product_E *= a_sums.units
    product_E -= a_sums.first_F[a_E] * b_sums.first_F[b_E]
    below_E = a_sums.deviation_F[a_E] * b_sums.deviation_F[b_E]
    product_E[below_E == 0] = 0
    below_E[below_E == 0] = 1
    product_E /= below_E


class _Tops(NamedTuple):
    """The best partners of some features among some of the other dictionary."""

    feature_f: NDArray[np.int64]
    partner_f: NDArray[np.int64]
    r_f: Figures

    @classmethod
    def of(cls, r: Any, first: int, first_other: int) -> _Tops:
        """Find the largest r of each row that has any; at the same r the lower partner.

        Args:
            r: a compressed sparse matrix of r; rows are those of its compressed axis.
            first: feature of its first row.
            first_other: partner of its first column.
        """
        count = np.diff(r.indptr)
        having = np.flatnonzero(count)
        if not len(having):
            return cls(having, having, np.zeros(0))
        begins = r.indptr[having]
        top = np.maximum.reduceat(r.data, begins)
        others = np.where(r.data == np.repeat(top, count[having]), r.indices, np.iinfo(r.indices.dtype).max)
        partner_f = np.minimum.reduceat(others, begins).astype(np.int64) + first_other
        return cls(having + first, partner_f, top)

    def improve(self, best: Partners) -> None:
        """Take over into `best` what is better; blocks come by rising partner, so the lower one stays at the same r."""
        better = self.r_f > best.r_F[self.feature_f]
        best.partner_F[self.feature_f[better]] = self.partner_f[better]
        best.r_F[self.feature_f[better]] = self.r_f[better]
