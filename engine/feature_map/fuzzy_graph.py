"""The graph of fuzzy memberships: how surely two features are neighbours, from distances to nearest ones.

McInnes, Healy, Melville 2018, section 3.1: a feature's nearest neighbour is one for sure, the others fade with their
distance beyond it, at a rate that makes the memberships of K neighbours add up to log2(K + 1). (UMAP counts a feature
among its own neighbours: its `n_neighbors` is K + 1.) An edge is there if either end says so.

Shapes: N features, K neighbours of each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

STEPS = 64
"""Halvings of the search for a rate."""
LEAST_RATE = 1e-3
"""Least rate, as a share of a feature's mean distance to its neighbours."""
Floats = NDArray[np.float64]


def fuzzy_graph(near_NK: NDArray[np.integer], cosine_NK: NDArray[np.float32]) -> csr_matrix:
    """Return the memberships of edges as a symmetric matrix [N, N], float32, without a diagonal.

    Args:
        near_NK: places of each feature's nearest neighbours, the nearest first.
        cosine_NK: their cosines; distances are 1 − cosine.
    """
    n, k = near_NK.shape
    distance_NK = np.maximum(1 - cosine_NK.astype(np.float64), 0)
    member_NK = memberships(distance_NK)
    rows = np.repeat(np.arange(n), k)
    one_way = csr_matrix((member_NK.ravel(), (rows, near_NK.ravel())), (n, n))
    other = one_way.T.tocsr()
    graph = one_way + other - one_way.multiply(other)
    graph = csr_matrix(graph, dtype=np.float32)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def memberships(distance_NK: Floats) -> Floats:
    """Return each neighbour's membership: exp(−(d − ρ) / σ), 1 up to the distance ρ of the nearest."""
    beyond_NK = np.maximum(distance_NK - _nearest(distance_NK)[:, None], 0)
    rate_N = rates(beyond_NK, np.log2(distance_NK.shape[1] + 1))
    mean_N = distance_NK.mean(axis=1)
    rate_N = np.maximum(rate_N, LEAST_RATE * np.where(mean_N > 0, mean_N, 1))
    found: Floats = np.exp(-beyond_NK / rate_N[:, None])
    return found


def rates(beyond_NK: Floats, wanted: float) -> Floats:
    """Return for each feature the σ at which its memberships add up to `wanted`, by halving; a bound where none does.

    Sums rise with σ from the number of neighbours at distance 0 to K.
    """
    low_N, rate_N = np.zeros(len(beyond_NK)), np.ones(len(beyond_NK))
    high_N = np.full(len(beyond_NK), np.inf)
    for _ in range(STEPS):
        above_N = np.exp(-beyond_NK / rate_N[:, None]).sum(axis=1) > wanted
        high_N = np.where(above_N, rate_N, high_N)
        low_N = np.where(above_N, low_N, rate_N)
        rate_N = np.where(np.isinf(high_N), np.minimum(2 * rate_N, 1e6), (low_N + high_N) / 2)
    return np.maximum(rate_N, np.finfo(np.float64).tiny)


def _nearest(distance_NK: Floats) -> Floats:
    """Return the smallest distance above 0 of each row; 0 where there is none."""
    least_N = np.where(distance_NK > 0, distance_NK, np.inf).min(axis=1)
    found: Floats = np.where(np.isfinite(least_N), least_N, 0.0)
    return found
