"""A dictionary's activations over units of text, as a sparse matrix that need not fit into memory.

Shapes: U units, F features, N tokens, E non-zero entries.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_matrix

from store.index.feature_groups import feature_groups
from store.index.reader import FeatureStore
from store.query.text_units import TextUnits, UnitValue

Sparse = Any
"""A scipy.sparse.csr_matrix of shape [features, units]; scipy has no types for it."""
ENTRIES = 1 << 21
"""Entries that are brought into order at once: some 200 MB."""


class ArrayRoom:
    """Room for large arrays: some bytes of memory, and temporary files for what does not fit there.

    The files have no names, so nothing is left of them; the system writes their pages out where memory is short. Their
    pages count as this process's memory from when they are touched until `release_pages`.
    """

    def __init__(self, memory: int) -> None:
        self._left = memory

    def array(self, size: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of any content.

        Raises:
            OSError: the folder for temporary files has no room for it.
        """
        n_bytes = size * np.dtype(dtype).itemsize
        if n_bytes <= self._left or not size:
            self._left -= n_bytes
            return np.empty(size, dtype)
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)  # else a full disk would end the process in mid-write
            return np.memmap(file, dtype, "r+", shape=(size,))


def release_pages(*arrays: NDArray[Any]) -> None:
    """Give touched pages of temporary files back to the system; the arrays keep their values.

    Does nothing for arrays in memory.
    """
    for array in arrays:
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


def unit_activations(store: FeatureStore, units: TextUnits, side: int, value: UnitValue, room: ArrayRoom) -> Sparse:
    """Return activations [F, U] in float32.

    Args:
        store: an index.
        units: the units of its text and another's.
        side: 0 or 1, its place in them.
        value: what a unit's activation is of its tokens'.
        room: holds the matrix.
    """
    unit_N, n_units = units.valued_N(side, value), units.n_units
    count_F = store.totals.count_F
    total = int(count_F.sum())
    unit_E, act_E = room.array(total, np.int32), room.array(total, np.float32)
    indptr, end = np.zeros(store.d_sae + 1, np.int64), 0
    for first, stop in feature_groups(count_F, ENTRIES):
        found = store.entries_of(first, stop)
        unit = unit_N[found.token]
        having = np.flatnonzero(unit >= 0)
        key = (found.feature[having] - first) * n_units + unit[having]
        order = np.argsort(key, kind="stable")
        key = key[order]
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        start, end = end, end + len(begins)
        feature, unit_E[start:end] = np.divmod(key[begins], n_units)
        if len(begins):
            act = found.act[having][order]
            summed = value == "sum"
            act_E[start:end] = np.add.reduceat(act, begins) if summed else np.maximum.reduceat(act, begins)
        indptr[first + 1 : stop + 1] = start + np.cumsum(np.bincount(feature, minlength=stop - first))
        release_pages(unit_E, act_E)
    return csr_matrix((act_E[:end], unit_E[:end], indptr), (store.d_sae, n_units))


def by_unit(acts_FU: Sparse, room: ArrayRoom) -> Sparse:
    """Return the transposed matrix [U, F] in float64, features ascending."""
    n_features, n_units = acts_FU.shape
    count_U, blocks = np.zeros(n_units, np.int64), list(feature_groups(np.diff(acts_FU.indptr), ENTRIES))
    for first, stop in blocks:
        count_U += np.bincount(acts_FU.indices[acts_FU.indptr[first] : acts_FU.indptr[stop]], minlength=n_units)
        release_pages(acts_FU.indices)
    indptr = np.concatenate([[0], np.cumsum(count_U)])
    feature_E, act_E = room.array(acts_FU.nnz, np.int32), room.array(acts_FU.nnz, np.float64)
    next_U = indptr[:-1].copy()
    for first, stop in blocks:
        turned = acts_FU[first:stop].T.tocsr()
        release_pages(acts_FU.indices, acts_FU.data)
        each_U = np.diff(turned.indptr)
        place = np.repeat(next_U - turned.indptr[:-1], each_U) + np.arange(turned.nnz)
        feature_E[place], act_E[place] = turned.indices + first, turned.data
        next_U += each_U
        release_pages(feature_E, act_E)
    return csr_matrix((act_E, feature_E, indptr), (n_units, n_features))


@dataclass(frozen=True)
class Alignment:
    """Which units count, and by how many units the second side is moved on, cyclically: 0 but for the null."""

    kept_U: NDArray[np.bool_]
    """Which units of the first side count."""
    by: int = 0

    @cached_property
    def n_units(self) -> int:
        """Number of units that count."""
        return int(np.count_nonzero(self.kept_U))

    @cached_property
    def _kept(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return self.kept_U, np.roll(self.kept_U, -self.by) if self.by else self.kept_U

    def align(self, acts_fU: Sparse, side: int) -> Sparse:
        """Return the activations of some features of a side on units that count, in float64, at the second's units."""
        kept_E = self._kept[side][acts_fU.indices]
        indptr = np.concatenate([[0], np.cumsum(kept_E)])[acts_fU.indptr]
        unit_E = acts_fU.indices[kept_E]
        if side == 0 and self.by:
            unit_E = (unit_E.astype(np.int64) - self.by) % acts_fU.shape[1]
        found = csr_matrix((acts_fU.data[kept_E].astype(np.float64), unit_E, indptr), acts_fU.shape)
        found.sort_indices()
        return found
