"""Columns of the feature list that follow from activations, gathered in one pass over sorted entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.hdf5 import put

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of a feature's non-zero activations that are kept."""
TOP_TOKEN_POOL = 1024
"""`top_token` is the token with the largest total activation among this many of the feature's strongest entries."""


def quantile_ranks(count_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank of each kept quantile among a feature's activations, 0 the strongest: [F, len(QUANTILES)].

    Quantile q of n activations is the entry of rank round((1 - q) · (n - 1)): a nearest rank, no interpolation.
    """
    steps = np.maximum(count_F[:, None] - 1, 0)
    ranks: NDArray[np.int64] = np.rint((1 - np.array(QUANTILES)) * steps).astype(np.int64)
    return ranks


def quantile_places(count_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index in inverted/act of each kept quantile of each feature: [F, len(QUANTILES)]; -1 where it never fires."""
    start = (np.cumsum(count_F) - count_F)[:, None]
    return np.where(count_F[:, None] > 0, start + quantile_ranks(count_F), -1)


@dataclass
class CorpusColumns:
    """Columns over F features, filled from blocks of inverted entries in storage order."""

    count_F: NDArray[np.int64]
    indptr: NDArray[np.int64]
    places_FQ: NDArray[np.int64]
    max_F: NDArray[np.float32]
    sum_F: NDArray[np.float64]
    quantiles_FQ: NDArray[np.float32]
    top_token_F: NDArray[np.int32]
    """-1 where the feature never fires."""
    top_sum_F: NDArray[np.float64]
    """Total activation of `top_token` in the pool."""
    _pool: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]]

    @classmethod
    def empty(cls, count_F: NDArray[np.int64]) -> CorpusColumns:
        """Nothing taken yet; `count_F` says how many entries each feature will bring."""
        f = len(count_F)
        return cls(
            count_F=count_F,
            indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(count_F)]),
            places_FQ=quantile_places(count_F),
            max_F=np.zeros(f, np.float32),
            sum_F=np.zeros(f, np.float64),
            quantiles_FQ=np.zeros((f, len(QUANTILES)), np.float32),
            top_token_F=np.full(f, -1, np.int32),
            top_sum_F=np.zeros(f, np.float64),
            _pool=[],
        )

    def take(self, feature: NDArray[Any], act: NDArray[np.float16], vocab: NDArray[np.int32], at: int) -> None:
        """Take entries at .. at+len-1 of the inverted order: their features, activations and vocabulary ids."""
        if not len(feature):
            return
        first, last = int(feature[0]), int(feature[-1]) + 1
        exact = act.astype(np.float64)
        self.sum_F[first:last] += np.bincount(feature - first, weights=exact, minlength=last - first)
        rank = at + np.arange(len(feature)) - self.indptr[feature]
        self.max_F[feature[rank == 0]] = act[rank == 0]
        places = self.places_FQ[first:last]
        inside = (places >= at) & (places < at + len(act))
        self.quantiles_FQ[first:last][inside] = act[places[inside] - at]
        near = rank < TOP_TOKEN_POOL
        self._pool.append((feature[near].astype(np.int64), vocab[near], exact[near]))
        # A feature's pool is settled once an entry beyond it, or the next feature, has come.
        if last - first > 1 or rank[-1] + 1 >= min(TOP_TOKEN_POOL, self.count_F[first]):
            self._settle()

    def _settle(self) -> None:
        feature, vocab, act = (np.concatenate(column) for column in zip(*self._pool, strict=True))
        self._pool.clear()
        if not len(feature):
            return
        order = np.lexsort((vocab, feature))
        feature, vocab, act = feature[order], vocab[order], act[order]
        starts = np.flatnonzero((np.diff(feature, prepend=-1) != 0) | (np.diff(vocab, prepend=-1) != 0))
        totals = np.add.reduceat(act, starts)
        best = np.lexsort((vocab[starts], -totals, feature[starts]))
        features = feature[starts][best]
        leading = best[np.diff(features, prepend=-1) != 0]
        self.top_token_F[feature[starts][leading]] = vocab[starts][leading]
        self.top_sum_F[feature[starts][leading]] = totals[leading]

    def write(self, group: h5py.Group) -> None:
        """Into datasets count, max, sum, quantiles, top_token, top_sum of `group`."""
        put(group, "count", self.count_F)
        put(group, "max", self.max_F)
        put(group, "sum", self.sum_F)
        put(group, "quantiles", self.quantiles_FQ)
        group["quantiles"].attrs["q"] = QUANTILES
        put(group, "top_token", self.top_token_F)
        put(group, "top_sum", self.top_sum_F)
