"""Sides of a comparison in which neurons take part, read in blocks of rows: neurons are dense, features are sparse.

A neuron's value at a unit is that of its tokens' values that lies farthest from 0, with its sign; on request their sum,
or the last one. Shapes: F features or
neurons of a side, f of them, N tokens, U units, V some of the units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.comparison.correlation import Figures
from engine.comparison.unit_matrix import Sparse
from store.index.neuron_file import NeuronActs

COPIES = 4
"""Arrays of the size of a block that are held at once."""


class UnitRows(Protocol):
    """Values of a side over units, in blocks of rows."""

    @property
    def n_rows(self) -> int:
        """Number of features or neurons."""

    @property
    def signed(self) -> bool:
        """Whether values have both signs, as neurons' have."""

    def blocks(self) -> Iterator[tuple[slice, Sparse]]:
        """Yield rows and their values [f, U]: a sparse matrix, or an array in float64."""


@dataclass(frozen=True)
class FeatureRows:
    """The features of an index: one sparse block."""

    acts_FU: Sparse

    signed = False

    @property
    def n_rows(self) -> int:
        """Number of features."""
        return int(self.acts_FU.shape[0])

    def blocks(self) -> Iterator[tuple[slice, Sparse]]:
        """Yield all features at once."""
        yield slice(0, self.n_rows), self.acts_FU


@dataclass(frozen=True)
class NeuronRows:
    """The neurons of an MLP, read from their file block by block."""

    acts: NeuronActs
    unit_N: NDArray[np.int64]
    """Unit of each token; negative for tokens of none."""
    n_units: int
    memory: int
    """Bytes that a block and what is computed of it may take."""
    summed: bool = False
    """Whether a value is the sum of the tokens', not the one that lies farthest from 0."""

    signed = True

    @property
    def n_rows(self) -> int:
        """Number of neurons."""
        return self.acts.n_neurons

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens that have a unit, unit by unit, and the first of each unit."""
        place = np.flatnonzero(self.unit_N >= 0)
        place = place[np.argsort(self.unit_N[place], kind="stable")]
        return place, np.searchsorted(self.unit_N[place], np.arange(self.n_units))

    def blocks(self) -> Iterator[tuple[slice, Figures]]:
        """Yield some neurons at a time."""
        place, begins = self._order
        for rows in self.acts.blocks(self.memory // (2 * COPIES)):
            keys_fT = self.acts.keys(rows.start, rows.stop)[:, place]
            if self.summed:
                yield rows, np.add.reduceat(self.acts.decoded(keys_fT, rows), begins, axis=1, dtype=np.float64)
                continue
            high_fU, low_fU = (
                self.acts.decoded(most.reduceat(keys_fT, begins, axis=1), rows) for most in (np.maximum, np.minimum)
            )
            yield rows, np.where(high_fU >= -low_fU, high_fU, low_fU).astype(np.float64)


def some_units(values: Sparse, units_V: NDArray[np.int64]) -> Sparse:
    """Return the values [f, V] at some units, dense or sparse as they are, in float64."""
    return values[:, units_V].astype(np.float64)


def dense(values: Sparse) -> Figures:
    """Return values as an array."""
    return values if isinstance(values, np.ndarray) else np.asarray(values.toarray(), np.float64)


def firing_units(values: Sparse) -> NDArray[np.int64]:
    """Return how many of the units each row is not 0 at."""
    counts = np.count_nonzero(values, axis=1) if isinstance(values, np.ndarray) else values.getnnz(axis=1)
    return np.asarray(counts, np.int64)
