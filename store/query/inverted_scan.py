"""One pass over the inverted order of an index: each feature's entries grouped by activation, in bounded memory.

Works on features.h5 and on segments. Shapes: N tokens, F features, V values of a float16, G groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask
from store.index.index_part import IndexPart
from store.index.reader import FeatureStore
from store.query.scores import TieGroups, tie_groups

ENTRIES = 1 << 20
"""Entries handled at once."""
GAP = 1 << 13
"""Entries of unwanted features that are read along rather than starting another read."""
ROWS = 1 << 16
"""Tokens whose rows are read at once."""
_VALUES = 1 << 16
_SCORED, _HIT = np.uint8(1), np.uint8(2)


class InvertedScan:
    """Scans entries on scored tokens, and distinguishes those on matching tokens.

    Holds a byte per token, and the pointers of every part.
    """

    def __init__(self, store: FeatureStore, scored_N: Mask, matched_N: Mask, entries: int = ENTRIES) -> None:
        self._store = store
        self._code_N = scored_N.astype(np.uint8) | ((scored_N & matched_N).astype(np.uint8) << 1)
        self._entries = entries
        with store.reading():
            self._indptr = [part.inverted_indptr[:] for part in store.parts]
        self.count_F: NDArray[np.int64] = np.sum([np.diff(indptr) for indptr in self._indptr], axis=0)

    def features(self) -> NDArray[np.int64]:
        """Return the features that fire on a matching token, ascending, from the rows of those tokens."""
        fires_F = np.zeros(self._store.d_sae, bool)
        for start in range(0, len(self._code_N), ROWS):
            wanted = np.flatnonzero(self._code_N[start : start + ROWS] & _HIT)
            if len(wanted):
                first, last = int(wanted[0]), int(wanted[-1]) + 1
                rows = self._store.rows(start + first, start + last)
                hit_N = np.zeros(last - first, bool)
                hit_N[wanted - first] = True
                fires_F[rows.feature[np.repeat(hit_N, np.diff(rows.indptr))]] = True
        return np.flatnonzero(fires_F)

    def groups(self, wanted: NDArray[np.int64]) -> Iterator[TieGroups]:
        """Yield the groups of these features (ascending), and perhaps of some between them, in blocks of features."""
        with self._store.reading():
            for first, last in feature_runs(self.count_F, wanted, self._entries):
                small = self.count_F[first:last].sum() <= self._entries
                yield self._block(first, last) if small else self._large(first)

    def _block(self, first: int, last: int) -> TieGroups:
        pieces = [
            self._read(part, int(indptr[first]), int(indptr[last]), np.diff(indptr[first : last + 1]), first)
            for part, indptr in zip(self._store.parts, self._indptr, strict=True)
        ]
        feature, bits, hit = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return tie_groups(feature, bits, hit, ordered=len(pieces) == 1)

    def _large(self, feature: int) -> TieGroups:
        """Group a feature with more entries than are handled at once: count them by activation, piece by piece."""
        entries_V, hits_V = np.zeros((2, _VALUES), np.int64)
        for part, indptr in zip(self._store.parts, self._indptr, strict=True):
            stop = int(indptr[feature + 1])
            for start in range(int(indptr[feature]), stop, self._entries):
                end = min(start + self._entries, stop)
                _, bits, hit = self._read(part, start, end, np.array([end - start]), feature)
                entries_V += np.bincount(bits, minlength=_VALUES)
                hits_V += np.bincount(bits[hit], minlength=_VALUES)
        bits_G = np.flatnonzero(entries_V)[::-1]
        return TieGroups(np.full(len(bits_G), feature), bits_G.astype(np.uint16), entries_V[bits_G], hits_V[bits_G])

    def _read(
        self, part: IndexPart, start: int, stop: int, count: NDArray[np.int64], first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16], Mask]:
        """Read feature, activation bits and hit of each entry start … stop-1 of a part that is on a scored token."""
        token = part.inverted_token[start:stop].astype(np.int64) + part.first_token
        code = self._code_N[token]
        feature = np.repeat(np.arange(first, first + len(count)), count)
        bits = part.inverted_act[start:stop].view(np.uint16)
        if not code.all():
            keep = code > 0
            feature, bits, code = feature[keep], bits[keep], code[keep]
        return feature, bits, (code & _HIT) > 0


def feature_runs(
    count_F: NDArray[np.int64], wanted: NDArray[np.int64], entries: int = ENTRIES, gap: int = GAP
) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges that cover the wanted features (ascending).

    A range of several features has at most `entries` entries, and at most `gap` of unwanted features between two.
    """
    ends = np.cumsum(count_F)
    run: tuple[int, int] | None = None
    for feature in wanted.tolist():
        if run is not None:
            skipped = ends[feature] - count_F[feature] - ends[run[1] - 1]
            whole = ends[feature] - ends[run[0]] + count_F[run[0]]
            if skipped <= gap and whole <= entries:
                run = (run[0], feature + 1)
                continue
            yield run
        run = (feature, feature + 1)
    if run is not None:
        yield run
