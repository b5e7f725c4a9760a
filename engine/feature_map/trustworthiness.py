"""Trustworthiness of a map: whether features that lie together there point in similar directions.

Venna and Kaski 2001, as scikit-learn's `trustworthiness` computes it: 1 − 2 / (n k (2n − 3k − 1)) · Σ (r(i, j) − k)
over all features i and their k nearest places j, where r is the rank of j among the others by cosine, if it exceeds k.

Shapes: N features, S of them sampled, D width of the decoder, K nearest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAREST = 15
SAMPLED = 5000
"""Features that it is measured on where there are more: always the same ones, among each other."""
BLOCK = 512


def trustworthiness(
    rows_ND: NDArray[np.float32], place_N2: NDArray[np.float32], nearest: int = NEAREST
) -> tuple[float, int]:
    """Return the trustworthiness, and the number of features that it was measured on.

    It is 1 where there are too few features for another value.

    Args:
        rows_ND: directions.
        place_N2: their places.
        nearest: K.
    """
    kept = sample(len(rows_ND))
    rows_SD, place_S2 = rows_ND[kept].astype(np.float64), place_N2[kept].astype(np.float64)
    n, k = len(kept), min(nearest, (len(kept) - 1) // 2)
    if k < 1 or 2 * n - 3 * k - 1 <= 0:
        return 1.0, n
    rows_SD /= np.maximum(np.linalg.norm(rows_SD, axis=1, keepdims=True), 1e-300)
    beyond = sum(
        _ranks_beyond(rows_SD, place_S2, np.arange(start, min(start + BLOCK, n)), k) for start in range(0, n, BLOCK)
    )
    return 1 - 2 * beyond / (n * k * (2 * n - 3 * k - 1)), n


def sample(n_features: int) -> NDArray[np.int64]:
    """Return the features that it is measured on, ascending."""
    if n_features <= SAMPLED:
        return np.arange(n_features)
    return np.sort(np.random.default_rng(0).permutation(n_features)[:SAMPLED])


def _ranks_beyond(rows_SD: NDArray[np.float64], place_S2: NDArray[np.float64], at_B: NDArray[np.int64], k: int) -> int:
    """Return by how much the ranks of some features' nearest places exceed k, together."""
    own = np.arange(len(at_B)), at_B
    apart_BS = np.square(place_S2[at_B, None] - place_S2).sum(axis=2)
    apart_BS[own] = np.inf
    near_BK = np.argsort(apart_BS, axis=1, kind="stable")[:, :k]
    cosine_BS = rows_SD[at_B] @ rows_SD.T
    cosine_BS[own] = -np.inf
    order_BS = np.argsort(-cosine_BS, axis=1, kind="stable")
    rank_BS = np.empty_like(order_BS)
    np.put_along_axis(rank_BS, order_BS, np.arange(1, len(rows_SD) + 1)[None], axis=1)
    return int(np.maximum(np.take_along_axis(rank_BS, near_BK, 1) - k, 0).sum())
