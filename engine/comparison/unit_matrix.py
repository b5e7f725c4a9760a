"""A dictionary's activations over units of text, as a sparse matrix.

Shapes: U units, F features, N tokens, E non-zero entries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from store.index.reader import FeatureStore
from store.index.segment import SparseRows
from store.query.text_units import NO_UNIT

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
    room = int(store.totals.count_F.sum())
    entries = _Entries(np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32))
    apart_U = _in_two_blocks(unit_N, n_units)
    apart_N = (unit_N >= 0) & apart_U[unit_N]
    end = 0
    for start in range(0, store.n_tokens, TOKENS):
        unit = np.where(apart_N, NO_UNIT, unit_N)[start : start + TOKENS]
        rows = store.rows(start, min(start + TOKENS, store.n_tokens))
        end = entries.put(end, *_of_rows(rows, unit), n_units)
    far = [
        _of_rows(store.rows(place, place + 1), unit_N[place : place + 1]) for place in np.flatnonzero(apart_N).tolist()
    ]
    if far:
        feature, unit, act = (np.concatenate(each) for each in zip(*far, strict=True))
        end = entries.put(end, feature, unit, act, n_units)
    found = csr_matrix(
        (entries.act_E[:end], (entries.feature_E[:end], entries.unit_E[:end])), (store.d_sae, n_units), np.float32
    )
    found.sort_indices()
    return found


class _Entries(NamedTuple):
    """Room for all entries of a matrix."""

    feature_E: NDArray[np.int32]
    unit_E: NDArray[np.int32]
    act_E: NDArray[np.float32]

    def put(
        self,
        at: int,
        feature_E: NDArray[np.int64],
        unit_E: NDArray[np.int64],
        act_E: NDArray[np.float32],
        n_units: int,
    ) -> int:
        """Put entries at a place, of those of one feature and unit only the largest, and return the end."""
        key_E = feature_E * n_units + unit_E
        order = np.argsort(key_E, kind="stable")
        key_E = key_E[order]
        begins = np.flatnonzero(np.diff(key_E, prepend=-1))
        if not len(begins):
            return at
        end = at + len(begins)
        self.feature_E[at:end], self.unit_E[at:end] = np.divmod(key_E[begins], n_units)
        self.act_E[at:end] = np.maximum.reduceat(act_E[order], begins)
        return end


def _of_rows(
    rows: SparseRows, unit_N: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return feature, unit and activation of the entries of tokens that have a unit."""
    unit_E = np.repeat(unit_N, np.diff(rows.indptr))
    kept = unit_E >= 0
    return rows.feature[kept], unit_E[kept], rows.act[kept]


def _in_two_blocks(unit_N: NDArray[np.int64], n_units: int) -> NDArray[np.bool_]:
    """Return which units [U] have tokens in more than one block."""
    place = np.flatnonzero(unit_N >= 0)
    block = (place // TOKENS).astype(np.int32)
    first_U, last_U = np.zeros((2, n_units), np.int32)
    last_U[unit_N[place]] = block
    first_U[unit_N[place[::-1]]] = block[::-1]
    apart_U: NDArray[np.bool_] = first_U != last_U
    return apart_U
