"""Columns of the feature list that follow from activations, computed in one pass over sorted entries.

Shapes: F features, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import put
from store.index.exponents import Exponents

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Stored quantiles of a feature's non-zero activations."""
VocabOf = Callable[[NDArray[Any]], NDArray[np.int32]]
_POINT = 24
_ONE = 1 << _POINT
_FEATURE_SHIFT, _VOCAB_SHIFT = np.uint64(40), np.uint64(16)
_VOCAB_MASK, _LOW = np.uint64((1 << 24) - 1), np.uint64(0xFFFF)
_VALUES = np.nan_to_num(np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64), posinf=0, neginf=0)
"""The float16 of each 16 bits; 0 for NaN and infinity, which no activation is."""
_UNITS = (_VALUES * _ONE).astype(np.int64)


def quantile_ranks(count_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of each stored quantile among a feature's activations, 0 for the strongest: [F, Q].

    Quantile q of n activations is the entry of rank round((1 - q) · (n - 1)): the nearest rank, no interpolation.
    """
    steps = np.maximum(count_F[:, None] - 1, 0)
    ranks: NDArray[np.int64] = np.rint((1 - np.array(QUANTILES)) * steps).astype(np.int64)
    return ranks


def quantile_places(count_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index in inverted/act of each stored quantile: [F, Q]; -1 for features that never fire."""
    start = (np.cumsum(count_F) - count_F)[:, None]
    return np.where(count_F[:, None] > 0, start + quantile_ranks(count_F), -1)


@dataclass
class CorpusColumns:
    """Columns over F features, filled from blocks of inverted entries in storage order.

    Bit-identical for any cut into blocks: sums are kept in whole units of 2⁻²⁴, of which every float16 is a multiple.
    """

    pool: ClassVar[int] = 1024
    """`top_token` is the token with the largest total activation among this many of the feature's strongest entries."""
    piece: ClassVar[int] = 1 << 18
    """Entries handled at once: few enough to stay in the processor's cache."""

    count_F: NDArray[np.int64]
    indptr: NDArray[np.int64]
    places_FQ: NDArray[np.int64]
    max_F: NDArray[np.float32]
    """As stored, like the other activations here: without their powers of two."""
    quantiles_FQ: NDArray[np.float32]
    top_token_F: NDArray[np.int32]
    """-1 for features that never fire."""
    top_sum_F: NDArray[np.float64]
    """Total activation of `top_token` in the pool."""
    _whole_F: NDArray[np.int64]
    _units_F: NDArray[np.int64]
    """Sums of activations: whole part, and units of 2⁻²⁴."""
    _exponent_F: Exponents | None
    _pool: list[NDArray[np.uint64]]
    """Feature, vocabulary id and activation of each entry, packed, for features whose pool is not complete yet."""

    @classmethod
    def empty(cls, count_F: NDArray[np.int64], exponent_F: Exponents | None = None) -> CorpusColumns:
        """Return columns without entries; `count_F` is the number of entries that each feature will have."""
        f = len(count_F)
        return cls(
            count_F=count_F,
            indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(count_F)]),
            places_FQ=quantile_places(count_F),
            max_F=np.zeros(f, np.float32),
            quantiles_FQ=np.zeros((f, len(QUANTILES)), np.float32),
            top_token_F=np.full(f, -1, np.int32),
            top_sum_F=np.zeros(f, np.float64),
            _whole_F=np.zeros(f, np.int64),
            _units_F=np.zeros(f, np.int64),
            _exponent_F=exponent_F,
            _pool=[],
        )

    @property
    def sum_F(self) -> NDArray[np.float64]:
        """Return total activations, rounded once."""
        total_F: NDArray[np.float64] = self._whole_F + self._units_F / _ONE
        return total_F

    def take(self, at: int, act: NDArray[np.float16], token: NDArray[Any], vocab_of: VocabOf) -> None:
        """Add entries at … at+len-1 of the inverted order.

        Args:
            at: number of entries added before.
            act: their activations.
            token: their places in the corpus.
            vocab_of: returns the vocabulary ids of places; called only for those that can matter to `top_token`.
        """
        for start in range(0, len(act), self.piece):
            piece = slice(start, start + self.piece)
            self._take(at + start, act[piece], token[piece], vocab_of)

    def _take(self, at: int, act: NDArray[np.float16], token: NDArray[Any], vocab_of: VocabOf) -> None:
        end = at + len(act)
        first = int(np.searchsorted(self.indptr, at, side="right")) - 1
        last = int(np.searchsorted(self.indptr, end, side="left"))
        edges = np.clip(self.indptr[first : last + 1], at, end) - at
        lengths = np.diff(edges)
        some = np.flatnonzero(lengths)
        feature, starts, lengths = first + some, edges[some], lengths[some]
        bits = act.view(np.uint16)
        units = np.add.reduceat(_UNITS[bits], starts)
        self._whole_F[feature] += units >> _POINT
        self._units_F[feature] += units & (_ONE - 1)
        begin = self.indptr[feature]
        self.max_F[feature[begin >= at]] = act[starts[begin >= at]]
        places = self.places_FQ[first:last]
        inside = (places >= at) & (places < end)
        self.quantiles_FQ[first:last][inside] = act[places[inside] - at]
        near = np.clip(begin + self.pool - at - starts, 0, lengths)
        self._collect(feature, starts, near, bits, token, vocab_of)
        # A feature whose pool is incomplete waits for the rest of it.
        final = int(feature[-1])
        whole = end >= min(int(self.indptr[final + 1]), int(self.indptr[final]) + self.pool)
        if whole or len(feature) > 1:
            self._settle(final + whole)

    def _collect(
        self,
        feature: NDArray[np.int64],
        starts: NDArray[np.int64],
        near: NDArray[np.int64],
        bits: NDArray[np.uint16],
        token: NDArray[Any],
        vocab_of: VocabOf,
    ) -> None:
        """Add the first `near` entries after each start to the pool."""
        total = int(near.sum())
        if not total:
            return
        if total < len(bits):
            chosen = np.arange(total) + np.repeat(starts - (np.cumsum(near) - near), near)
            bits, token = bits[chosen], token[chosen]
        keys = np.repeat(feature.astype(np.uint64) << _FEATURE_SHIFT, near)
        keys |= vocab_of(token).astype(np.uint64) << _VOCAB_SHIFT
        keys |= bits
        self._pool.append(keys)

    def _settle(self, end: int) -> None:
        """Compute the top token of the features below `end` that are in the pool."""
        keys = np.concatenate([np.zeros(0, np.uint64), *self._pool])
        cut = int(np.searchsorted(keys >> _FEATURE_SHIFT, np.uint64(end)))
        self._pool = [keys[cut:]] if cut < len(keys) else []
        keys = keys[:cut]
        if not len(keys):
            return
        keys.sort()
        pairs = keys >> _VOCAB_SHIFT
        starts = np.flatnonzero(_changes(pairs))
        totals = np.add.reduceat(_VALUES[(keys & _LOW).astype(np.uint16)], starts)
        pairs = pairs[starts]
        feature = (pairs >> (_FEATURE_SHIFT - _VOCAB_SHIFT)).astype(np.int64)
        begins = np.flatnonzero(_changes(feature))
        best = np.maximum.reduceat(totals, begins)
        winners = np.flatnonzero(totals == np.repeat(best, np.diff(begins, append=len(feature))))
        winners = winners[_changes(feature[winners])]  # ties go to the lowest id
        self.top_token_F[feature[winners]] = (pairs[winners] & _VOCAB_MASK).astype(np.int32)
        self.top_sum_F[feature[winners]] = best

    def by_name(self) -> dict[str, NDArray[Any]]:
        """Return the columns by their names in files; activations are multiplied by their powers of two."""
        exponent_F = np.zeros(1, np.int32) if self._exponent_F is None else self._exponent_F.astype(np.int32)
        return {
            "count": self.count_F,
            "max": np.ldexp(self.max_F, exponent_F),
            "sum": np.ldexp(self.sum_F, exponent_F),
            "quantiles": np.ldexp(self.quantiles_FQ, exponent_F[:, None]),
            "top_token": self.top_token_F,
            "top_sum": np.ldexp(self.top_sum_F, exponent_F),
        }

    def write(self, group: h5py.Group) -> None:
        """Write the columns into `group`."""
        for name, values in self.by_name().items():
            put(group, name, values)
        group["quantiles"].attrs["q"] = QUANTILES


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True where a value differs from the one before it, and for the first."""
    changes = np.empty(len(values), np.bool_)
    changes[:1] = True
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes
