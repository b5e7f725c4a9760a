"""Features and neurons as detectors: each fires on a token where its activation passes a threshold out of a small grid.

Shapes: N tokens, D width of the neurons, F = d_sae, M detectors, G thresholds of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

GRID = 44
"""Thresholds a detector; a value's level, 0 to GRID, fits into a byte."""

_TAIL = 0.5 ** np.arange(5, 14)
_SHARES = np.unique(np.concatenate([np.linspace(0, 1, 27)[1:], _TAIL, 1 - _TAIL]))[::-1]
"""Shares of the values that reach a threshold: even steps, and ever finer ones towards both ends, because a concept may
be as rare as a token in thousands. The first is all of them."""
assert len(_SHARES) == GRID

Tokens = NDArray[np.int64]
Counts = NDArray[np.int64]


def grid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thresholds [G] out of values: every distinct one where these are few, else those that _SHARES of them reach.

    Ascending; filled up with infinity, which nothing reaches.
    """
    distinct = np.unique(values)
    if len(distinct) > GRID:
        ranked = np.sort(values)
        distinct = np.unique(ranked[np.minimum(((1 - _SHARES) * len(ranked)).astype(int), len(ranked) - 1)])
    return np.concatenate([distinct, np.full(GRID - len(distinct), np.inf, np.float32)]).astype(np.float32)


class Detectors(Protocol):
    """What can be counted of a set of detectors on a set of tokens."""

    @property
    def n_tokens(self) -> int:
        """N."""

    def counts(self, tokens: Tokens) -> Counts:
        """On how many of these tokens each detector fires at each of its thresholds [M, G]."""

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """On which tokens a detector fires at its threshold number `level` [N]."""


@dataclass(frozen=True)
class SparseDetectors:
    """Features: fires where the feature is active and its activation at least the threshold. Rows are tokens (CSR)."""

    indptr: NDArray[np.int64]
    feature: NDArray[np.int64]
    level: NDArray[np.uint8]
    """Number of the feature's thresholds that the activation reaches."""
    d_sae: int

    @property
    def n_tokens(self) -> int:
        """N."""
        return len(self.indptr) - 1

    def counts(self, tokens: Tokens) -> Counts:
        """[F, G]."""
        lengths = self.indptr[tokens + 1] - self.indptr[tokens]
        ends = np.cumsum(lengths)
        entries = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.indptr[tokens] - (ends - lengths), lengths)
        cells = self.feature[entries] * (GRID + 1) + self.level[entries]
        return _reaching(np.bincount(cells, minlength=self.d_sae * (GRID + 1)).reshape(self.d_sae, GRID + 1))

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """[N]."""
        fired = np.zeros(self.n_tokens, bool)
        entries = np.flatnonzero((self.feature == detector) & (self.level > level))
        fired[np.searchsorted(self.indptr, entries, side="right") - 1] = True
        return fired


@dataclass(frozen=True)
class DenseDetectors:
    """Neurons, twice: detector d fires where neuron d is at least the threshold, detector D + d where it is below."""

    level_ND: NDArray[np.uint8]

    @property
    def n_tokens(self) -> int:
        """N."""
        return len(self.level_ND)

    def counts(self, tokens: Tokens) -> Counts:
        """[2D, G]."""
        width = self.level_ND.shape[1]
        cells_DG = np.zeros(width * (GRID + 1), np.int64)
        offset_D = np.arange(width, dtype=np.int32) * (GRID + 1)
        for some in np.array_split(tokens, max(1, len(tokens) * width >> 23)):
            cells_DG += np.bincount((self.level_ND[some] + offset_D).ravel(), minlength=len(cells_DG))
        above = _reaching(cells_DG.reshape(width, GRID + 1))
        return np.concatenate([above, len(tokens) - above])

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """[N]."""
        width = self.level_ND.shape[1]
        above: NDArray[np.bool_] = self.level_ND[:, detector % width] > level
        return above if detector < width else ~above


class Entries(NamedTuple):
    """Active features of consecutive tokens, raw."""

    active: NDArray[np.int64]
    """Number of active features of each token."""
    feature: NDArray[np.int64]
    act: NDArray[np.float32]


def feature_thresholds(entries: Entries, d_sae: int) -> NDArray[np.float32]:
    """Each feature's thresholds out of its own activations [F, G]."""
    order = np.argsort(entries.feature, kind="stable")
    act = entries.act[order]
    ends = np.searchsorted(entries.feature[order], np.arange(d_sae + 1))
    return np.stack([grid(act[ends[f] : ends[f + 1]]) for f in range(d_sae)])


def sparse_detectors(entries: Entries, thresholds_FG: NDArray[np.float32]) -> SparseDetectors:
    """The features on some tokens, at given thresholds."""
    level = np.zeros(len(entries.act), np.uint8)
    order = np.argsort(entries.feature, kind="stable")
    ends = np.searchsorted(entries.feature[order], np.arange(len(thresholds_FG) + 1))
    for f in np.unique(entries.feature):
        mine = order[ends[f] : ends[f + 1]]
        level[mine] = np.searchsorted(thresholds_FG[f], entries.act[mine], side="right")
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(entries.active)])
    return SparseDetectors(indptr, entries.feature, level, len(thresholds_FG))


def neuron_thresholds(acts_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each neuron's thresholds out of a sample of its activations [D, G]."""
    return np.stack([grid(acts_ND[:, d]) for d in range(acts_ND.shape[1])])


def neuron_levels(acts_ND: NDArray[np.float32], thresholds_DG: NDArray[np.float32]) -> NDArray[np.uint8]:
    """How many of its thresholds each activation reaches [N, D]."""
    columns: Iterable[NDArray[np.intp]] = (
        np.searchsorted(thresholds_DG[d], acts_ND[:, d], side="right") for d in range(acts_ND.shape[1])
    )
    return np.stack([column.astype(np.uint8) for column in columns], axis=1)


def _reaching(cells: Counts) -> Counts:
    """From counts by level [M, G + 1] to counts at or above each threshold [M, G]."""
    above: Counts = cells[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
    return above
