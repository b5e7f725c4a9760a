"""Features and neurons as detectors, which fire where their activation reaches a threshold from a small grid.

Shapes: N tokens, D width of the neurons, F = d_sae, M detectors, G thresholds of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

GRID = 44
"""Thresholds per detector; the level of a value, 0 to GRID, fits into a byte."""

_TAIL = 0.5 ** np.arange(5, 14)
_SHARES = np.unique(np.concatenate([np.linspace(0, 1, 27)[1:], _TAIL, 1 - _TAIL]))[::-1]
"""Shares of the values that reach each threshold: even steps, finer towards both ends, because a concept may be as rare
as one token in thousands. The first is 1."""
assert len(_SHARES) == GRID

Tokens = NDArray[np.int64]
Counts = NDArray[np.int64]


def grid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ascending thresholds [G]: all distinct values if they are few, else those that _SHARES of them reach.

    Padded with infinity, which nothing reaches.
    """
    distinct = np.unique(values)
    if len(distinct) > GRID:
        ranked = np.sort(values)
        distinct = np.unique(ranked[np.minimum(((1 - _SHARES) * len(ranked)).astype(int), len(ranked) - 1)])
    return np.concatenate([distinct, np.full(GRID - len(distinct), np.inf, np.float32)]).astype(np.float32)


class Detectors(Protocol):
    """A set of detectors on a set of tokens."""

    @property
    def n_tokens(self) -> int:
        """Number of tokens, N."""

    def counts(self, tokens: Tokens) -> Counts:
        """Return on how many of these tokens each detector fires at each of its thresholds [M, G]."""

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """Return True for tokens on which a detector fires at its threshold number `level` [N]."""


@dataclass(frozen=True)
class SparseDetectors:
    """Features (CSR by token); a detector fires if its feature is active with at least the threshold."""

    indptr: NDArray[np.int64]
    feature: NDArray[np.int64]
    level: NDArray[np.uint8]
    """Return how many of the feature's thresholds the activation reaches."""
    d_sae: int

    @property
    def n_tokens(self) -> int:
        """Number of tokens, N."""
        return len(self.indptr) - 1

    def counts(self, tokens: Tokens) -> Counts:
        """See `Detectors`; M = F."""
        lengths = self.indptr[tokens + 1] - self.indptr[tokens]
        ends = np.cumsum(lengths)
        entries = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.indptr[tokens] - (ends - lengths), lengths)
        cells = self.feature[entries] * (GRID + 1) + self.level[entries]
        return _reaching(np.bincount(cells, minlength=self.d_sae * (GRID + 1)).reshape(self.d_sae, GRID + 1))

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """See `Detectors`."""
        fired = np.zeros(self.n_tokens, bool)
        entries = np.flatnonzero((self.feature == detector) & (self.level > level))
        fired[np.searchsorted(self.indptr, entries, side="right") - 1] = True
        return fired


@dataclass(frozen=True)
class DenseDetectors:
    """Neurons with both signs: detector d fires if neuron d reaches the threshold, detector D + d if it does not."""

    level_ND: NDArray[np.uint8]

    @property
    def n_tokens(self) -> int:
        """Number of tokens, N."""
        return len(self.level_ND)

    def counts(self, tokens: Tokens) -> Counts:
        """See `Detectors`; M = 2D."""
        width = self.level_ND.shape[1]
        cells_DG = np.zeros(width * (GRID + 1), np.int64)
        offset_D = np.arange(width, dtype=np.int32) * (GRID + 1)
        for some in np.array_split(tokens, max(1, len(tokens) * width >> 23)):
            cells_DG += np.bincount((self.level_ND[some] + offset_D).ravel(), minlength=len(cells_DG))
        above = _reaching(cells_DG.reshape(width, GRID + 1))
        return np.concatenate([above, len(tokens) - above])

    def fires(self, detector: int, level: int) -> NDArray[np.bool_]:
        """See `Detectors`."""
        width = self.level_ND.shape[1]
        above: NDArray[np.bool_] = self.level_ND[:, detector % width] > level
        return above if detector < width else ~above


class ActiveFeatures(NamedTuple):
    """Active features of consecutive tokens."""

    active: NDArray[np.int64]
    """Active features per token."""
    feature: NDArray[np.int64]
    act: NDArray[np.float32]


def feature_thresholds(entries: ActiveFeatures, d_sae: int) -> NDArray[np.float32]:
    """Return each feature's thresholds, from its own activations [F, G]."""
    order = np.argsort(entries.feature, kind="stable")
    act = entries.act[order]
    ends = np.searchsorted(entries.feature[order], np.arange(d_sae + 1))
    return np.stack([grid(act[ends[f] : ends[f + 1]]) for f in range(d_sae)])


def sparse_detectors(entries: ActiveFeatures, thresholds_FG: NDArray[np.float32]) -> SparseDetectors:
    """Return features as detectors with the given thresholds."""
    level = np.zeros(len(entries.act), np.uint8)
    order = np.argsort(entries.feature, kind="stable")
    ends = np.searchsorted(entries.feature[order], np.arange(len(thresholds_FG) + 1))
    for f in np.unique(entries.feature):
        mine = order[ends[f] : ends[f + 1]]
        level[mine] = np.searchsorted(thresholds_FG[f], entries.act[mine], side="right")
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(entries.active)])
    return SparseDetectors(indptr, entries.feature, level, len(thresholds_FG))


def neuron_thresholds(acts_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each neuron's thresholds, from a sample of its activations [D, G]."""
    return np.stack([grid(acts_ND[:, d]) for d in range(acts_ND.shape[1])])


def neuron_levels(acts_ND: NDArray[np.float32], thresholds_DG: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return how many of its neuron's thresholds each activation reaches [N, D]."""
    columns: Iterable[NDArray[np.intp]] = (
        np.searchsorted(thresholds_DG[d], acts_ND[:, d], side="right") for d in range(acts_ND.shape[1])
    )
    return np.stack([column.astype(np.uint8) for column in columns], axis=1)


def _reaching(cells: Counts) -> Counts:
    """Turn counts per level [M, G + 1] into counts at or above each threshold [M, G]."""
    above: Counts = cells[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
    return above
