"""A dictionary's activations over units of text, as a sparse matrix.

Shapes: U units, F features, N tokens, E non-zero entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from store.index.reader import FeatureStore

Sparse = Any
"""A scipy.sparse.csr_matrix of shape [features, units]; scipy has no types for it."""
TOKENS = 1 << 16
"""Tokens whose rows are read at once."""


def unit_activations(store: FeatureStore, unit_N: NDArray[np.int64], n_units: int) -> Sparse:
    """Return activations [F, U] in float32: for each unit the largest of its tokens'.

    Args:
        store: an index.
        unit_N: the unit of each token of the index; negative for tokens of none.
        n_units: number of units.
    """
    features: list[NDArray[np.int32]] = []
    units: list[NDArray[np.int32]] = []
    acts: list[NDArray[np.float32]] = []
    for start in range(0, store.n_tokens, TOKENS):
        unit = unit_N[start : start + TOKENS]
        rows = store.rows(start, min(start + TOKENS, store.n_tokens))
        unit_E = np.repeat(unit, np.diff(rows.indptr))
        kept = unit_E >= 0
        feature, reached, act = _largest(rows.feature[kept], unit_E[kept], rows.act[kept], n_units)
        features.append(feature)
        units.append(reached)
        acts.append(act)
    shape = (store.d_sae, n_units)
    if not features:
        return csr_matrix(shape, dtype=np.float32)
    entries = np.concatenate(features), np.concatenate(units), np.concatenate(acts)
    del features, units, acts
    if _repeats(entries[0], entries[1], shape):  # a unit reached from two blocks
        entries = _largest(*entries, n_units)
    found = csr_matrix((entries[2], (entries[0], entries[1])), shape=shape, dtype=np.float32)
    found.sort_indices()
    return found


def _largest(
    feature_E: NDArray[np.int64] | NDArray[np.int32],
    unit_E: NDArray[np.int64] | NDArray[np.int32],
    act_E: NDArray[np.float32],
    n_units: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return entries without repetition of feature and unit, each with the largest activation."""
    key_E = feature_E.astype(np.int64) * n_units + unit_E
    order = np.argsort(key_E, kind="stable")
    key_E = key_E[order]
    begins = np.flatnonzero(np.diff(key_E, prepend=-1))
    if not len(begins):
        return feature_E.astype(np.int32), unit_E.astype(np.int32), act_E
    feature, unit = np.divmod(key_E[begins], n_units)
    return feature.astype(np.int32), unit.astype(np.int32), np.maximum.reduceat(act_E[order], begins)


def _repeats(feature_E: NDArray[np.int32], unit_E: NDArray[np.int32], shape: tuple[int, int]) -> bool:
    """Return whether a pair of feature and unit occurs twice."""
    pattern = csr_matrix((np.ones(len(unit_E), np.int8), (feature_E, unit_E)), shape=shape)
    return bool(pattern.nnz != len(unit_E))
