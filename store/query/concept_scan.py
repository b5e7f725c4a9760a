"""The best detector of each of many concepts, in one pass over the inverted order of an index.

A feature fires where its activation reaches a threshold, one of its own activations. What depends on a concept are the
hits alone, and hits are rare: each block of entries is read and ranked once, and every concept looks only at its own
tokens' entries. `store.query.find` asks the same of a single concept, and answers the same.

Shapes: N tokens, C concepts, E entries of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask
from store.index.reader import FeatureStore
from store.query.detectors import Choice
from store.query.inverted_scan import ENTRIES, feature_runs
from store.query.scores import TokenTotals

AT_ONCE = 64
"""Concepts of a pass: a bit each of a token's code."""
Codes = NDArray[np.uint64]
"""Concepts of each token [N], a bit each."""


class Best(NamedTuple):
    """The best detector of a concept, and the F1 of the set that it joins."""

    choice: Choice
    f1: float


class _Block(NamedTuple):
    """Entries on scored tokens, by feature and falling activation."""

    feature_E: NDArray[np.int64]
    bits_E: NDArray[np.uint16]
    token_E: NDArray[np.int64]

    @classmethod
    def joined(cls, pieces: Sequence[_Block]) -> _Block:
        """Lay blocks one behind the other."""
        return cls(
            np.concatenate([one.feature_E for one in pieces]),
            np.concatenate([one.bits_E for one in pieces]),
            np.concatenate([one.token_E for one in pieces]),
        )


class ConceptScan:
    """Scans the entries on scored tokens for all concepts at once."""

    def __init__(self, store: FeatureStore, scored_N: Mask, entries: int = ENTRIES) -> None:
        self._store, self._scored_N, self._entries = store, scored_N, entries
        with store.reading():
            self._indptr = [part.inverted_indptr[:] for part in store.parts]
        self._count_F: NDArray[np.int64] = np.sum([np.diff(indptr) for indptr in self._indptr], axis=0)

    def best(
        self, matched_N: Codes, taken_N: Codes, totals: Sequence[TokenTotals], sets: Sequence[Sequence[Choice]]
    ) -> list[Best | None]:
        """Return the detector that raises each concept's F1 most; None where no feature fires on a free match.

        Of equal ones the lower feature wins, then the lower threshold.

        Args:
            matched_N: the concepts of each token.
            taken_N: the concepts whose set fires on the token already; entries there are looked at no more.
            totals: counts of each concept on scored tokens.
            sets: the features of each concept's set so far, which are not chosen again.
        """
        best: list[Best | None] = [None] * len(totals)
        for block in self._blocks():
            ranks = _Ranks.of(block)
            match_E, taken_E = matched_N[block.token_E], taken_N[block.token_E]
            matching, taken = np.flatnonzero(match_E & ~taken_E), np.flatnonzero(taken_E)
            free_E, busy_E = (match_E & ~taken_E)[matching], taken_E[taken]
            for concept, total in enumerate(totals):
                bit = np.uint64(1) << np.uint64(concept)
                hit = matching[(free_E & bit) != 0]
                found = _best_of(block, ranks, hit, taken[(busy_E & bit) != 0], total, sets[concept])
                known = best[concept]
                if found is not None and (known is None or found.f1 > known.f1):
                    act = np.float32(np.uint16(found.bits).view(np.float16)) * self._store.unit_F[found.feature]
                    best[concept] = Best(Choice(found.feature, float(act)), found.f1)
        return best

    def _blocks(self) -> Iterator[_Block]:
        with self._store.reading():
            for first, last in feature_runs(self._count_F, np.flatnonzero(self._count_F), self._entries):
                pieces = [self._read(number, first, last) for number in range(len(self._indptr))]
                block = _Block.joined(pieces)
                if len(pieces) > 1:
                    order = np.lexsort((-block.bits_E.astype(np.int32), block.feature_E))
                    block = _Block(block.feature_E[order], block.bits_E[order], block.token_E[order])
                yield block

    def _read(self, number: int, first: int, last: int) -> _Block:
        part, indptr = self._store.parts[number], self._indptr[number]
        start, stop = int(indptr[first]), int(indptr[last])
        token_E = part.inverted_token[start:stop].astype(np.int64) + part.first_token
        kept_E = self._scored_N[token_E]
        feature_E = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
        bits_E = part.inverted_act[start:stop].view(np.uint16)
        return _Block(feature_E[kept_E], bits_E[kept_E], token_E[kept_E])


class _Ranks(NamedTuple):
    """Places of each entry's feature and group of equal activations in the block [E]."""

    begin_E: NDArray[np.int64]
    """First entry of its feature."""
    end_E: NDArray[np.int64]
    """End (exclusive) of its group."""

    @classmethod
    def of(cls, block: _Block) -> _Ranks:
        number_E = np.arange(len(block.feature_E))
        new_feature_E = np.diff(block.feature_E, prepend=-1) != 0
        new_group_E = new_feature_E | (np.diff(block.bits_E.astype(np.int32), prepend=-1) != 0)
        starts = np.flatnonzero(new_group_E)
        end_E = np.repeat(np.append(starts[1:], len(number_E)), np.diff(starts, append=len(number_E)))
        return cls(np.maximum.accumulate(np.where(new_feature_E, number_E, 0)), end_E)


class _Candidate(NamedTuple):
    feature: int
    bits: int
    f1: float


def _best_of(
    block: _Block,
    ranks: _Ranks,
    hit: NDArray[np.int64],
    taken: NDArray[np.int64],
    totals: TokenTotals,
    chosen: Sequence[Choice],
) -> _Candidate | None:
    """Return the best threshold of the block's features for one concept.

    Args:
        block: entries.
        ranks: their places.
        hit: entries on tokens of the concept where its set does not fire yet, ascending.
        taken: entries on tokens where it does.
        totals: counts of the concept.
        chosen: features of its set.
    """
    if chosen:
        hit = hit[~np.isin(block.feature_E[hit], [one.feature for one in chosen])]
    if not len(hit):
        return None
    feature, begin, end = block.feature_E[hit], ranks.begin_E[hit], ranks.end_E[hit]
    number = np.arange(len(hit))
    first_of_feature = np.maximum.accumulate(np.where(np.diff(feature, prepend=-1) != 0, number, 0))
    hits = number - first_of_feature + 1
    fired = end - begin - (np.searchsorted(taken, end) - np.searchsorted(taken, begin))
    # Of hits with equal activations only the last counts all of them; the others have a lower F1, so they never win.
    f1 = 2 * (totals.taken_hits + hits) / (totals.matched + totals.taken + fired)
    top = np.flatnonzero(f1 == f1.max())
    place = top[feature[top] == feature[top[0]]][-1]
    return _Candidate(int(feature[place]), int(block.bits_E[hit[place]]), float(f1[place]))
