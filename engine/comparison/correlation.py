"""Best partners: for each feature of one dictionary the feature of another that correlates most, from sparse products.

Pearson's r of features a and b over U units is (U Σab − Σa Σb) / √((U Σa² − (Σa)²)(U Σb² − (Σb)²)). Only pairs that
fire together have a Σab; all others have r ≤ 0 and are never a best partner. Shapes: A features of the first
dictionary, B of the second, U units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.comparison.unit_matrix import Sparse

Figures = NDArray[np.float64]
NO_PARTNER = -1
PAIR_BYTES = 12
"""Bytes of one pair of features in a sparse product."""


@dataclass(frozen=True)
class Sums:
    """Sums of each feature's values over units, and how many units there are."""

    first_F: Figures
    square_F: Figures
    units: int

    @classmethod
    def of(cls, acts_FU: Sparse) -> Sums:
        """Sum over all units of a matrix."""
        wide = acts_FU.astype(np.float64)
        squares = wide.copy()
        squares.data **= 2
        return cls(_row_sums(wide), _row_sums(squares), acts_FU.shape[1])

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


def best_partners(
    acts_AU: Sparse,
    acts_BU: Sparse,
    judged: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    memory: int,
) -> tuple[Partners, Partners]:
    """Find the best partner of every judged feature of two dictionaries, among the judged ones of the other.

    Args:
        acts_AU: activations of one dictionary.
        acts_BU: activations of the other over the same units.
        judged: which features of each dictionary are compared.
        memory: bytes that pairs may take; the work is done in blocks of features of the first dictionary.

    Returns:
        Partners of the first's features, and of the second's. Of several partners with the same r the lowest id wins.
    """
    a_sums, b_sums = Sums.of(acts_AU), Sums.of(acts_BU)
    deviation_B = b_sums.deviation_F
    columns_UB: csr_matrix = acts_BU.T.tocsr().astype(np.float64)
    best_A, best_B = (Partners(np.full(n, NO_PARTNER), np.zeros(n)) for n in (acts_AU.shape[0], acts_BU.shape[0]))
    block = max(1, memory // (PAIR_BYTES * max(1, acts_BU.shape[0])))
    for start in range(0, acts_AU.shape[0], block):
        stop = min(start + block, acts_AU.shape[0])
        pairs = (acts_AU[start:stop].astype(np.float64) @ columns_UB).tocoo()
        kept = judged[0][pairs.row + start] & judged[1][pairs.col]
        a, b, product = pairs.row[kept] + start, pairs.col[kept].astype(np.int64), pairs.data[kept]
        below = a_sums.deviation_F[a] * deviation_B[b]
        a, b, product, below = (each[below > 0] for each in (a, b, product, below))
        r = (a_sums.units * product - a_sums.first_F[a] * b_sums.first_F[b]) / below
        _improve(best_A, a, b, r)
        _improve(best_B, b, a, r)
    return best_A, best_B


def _improve(best: Partners, feature_P: NDArray[np.int64], other_P: NDArray[np.int64], r_P: Figures) -> None:
    """Take over what is better than the best so far; at the same r the lower id, which comes first."""
    positive = r_P > 0
    feature_P, other_P, r_P = feature_P[positive], other_P[positive], r_P[positive]
    order = np.lexsort((other_P, -r_P, feature_P))
    feature_P = feature_P[order]
    first = np.flatnonzero(np.diff(feature_P, prepend=-1))
    feature, other, r = feature_P[first], other_P[order][first], r_P[order][first]
    better = r > best.r_F[feature]
    best.partner_F[feature[better]] = other[better]
    best.r_F[feature[better]] = r[better]


def shifted(acts_FU: Sparse, by: int) -> Sparse:
    """Return activations with all units moved on, cyclically."""
    moved = acts_FU.copy()
    moved.indices = ((moved.indices.astype(np.int64) + by) % acts_FU.shape[1]).astype(moved.indices.dtype)
    moved.has_sorted_indices = False
    moved.sort_indices()
    return moved


def _row_sums(matrix: Sparse) -> Figures:
    total: Figures = np.asarray(matrix.sum(axis=1), np.float64).ravel()
    return total
