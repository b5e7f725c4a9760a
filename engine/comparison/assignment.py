"""One-to-one matching of decoder directions: the mean of matched |cosine|, PW-MCC.

Mean correlation of the pairwise best matching (Paulo and Belrose 2025, *Sparse Autoencoders Trained on the Same Data
Learn Different Features*, arXiv 2501.16615; Hungarian matching of decoders). Shapes: A and B features, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

EXACT = 4096
"""Features up to which all pairs are considered."""
CANDIDATES = 50
"""Candidates of each feature beyond that."""


@dataclass(frozen=True)
class Matching:
    """Mean |cosine| of matched decoder directions."""

    mean_cosine: float
    exact: bool
    """Whether all pairs were considered; otherwise the optimum is at least `mean_cosine`."""


def match_decoders(first_AD: NDArray[np.float32], second_BD: NDArray[np.float32]) -> Matching:
    """Match each row of one decoder with one of the other so that the sum of |cosines| is largest.

    Of dictionaries of different size, as many features are matched as the smaller one has.
    """
    first, second = sorted((_unit(first_AD), _unit(second_BD)), key=len)
    if len(second) <= EXACT:
        cosine = np.abs(first @ second.T)
        rows, columns = linear_sum_assignment(cosine, maximize=True)
        return Matching(float(cosine[rows, columns].mean()), exact=True)
    return Matching(_among_candidates(first, second), exact=False)


def _among_candidates(first_AD: NDArray[np.float32], second_BD: NDArray[np.float32]) -> float:
    """Match over the nearest candidates only; a feature that finds none free counts as 0."""
    n = len(first_AD)
    near, cosine = np.empty((n, CANDIDATES), np.int64), np.empty((n, CANDIDATES))
    step = max(1, (1 << 26) // len(second_BD))
    for start in range(0, n, step):
        block = np.abs(first_AD[start : start + step] @ second_BD.T)
        near[start : start + step] = np.argpartition(-block, CANDIDATES, axis=1)[:, :CANDIDATES]
        cosine[start : start + step] = np.take_along_axis(block, near[start : start + step], 1)
    # A place of its own for each feature makes a full matching possible; it costs more than any candidate.
    rows = np.concatenate([np.repeat(np.arange(n), CANDIDATES), np.arange(n)])
    columns = np.concatenate([near.ravel(), len(second_BD) + np.arange(n)])
    cost = np.concatenate([2 - cosine.ravel(), np.full(n, 2.0)])
    graph = csr_matrix((cost, (rows, columns)), (n, len(second_BD) + n))
    _, found = min_weight_full_bipartite_matching(graph)
    matched = np.asarray(graph[np.arange(n), found]).ravel()
    return float((2 - matched).mean())


def _unit(rows_FD: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(rows_FD, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows_FD / np.where(norm > 0, norm, 1)).astype(np.float32)
    return unit
