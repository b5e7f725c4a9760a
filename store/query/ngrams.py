"""The n-grams that a feature fires on: those that end on the token, the token before, and the token after.

Exact over every place where the feature fires. The baseline is the frequency of the same n-grams over all counted
tokens; an n-gram lies in one context. Shapes: P places, U distinct n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureStore

BLOCK = 1 << 18
"""Places handled at once."""
WINDOWS: dict[str, tuple[int, int]] = {
    "token": (0, 1),
    "bigram": (-1, 1),
    "trigram": (-2, 1),
    "before": (-1, 0),
    "after": (1, 2),
}
"""Start and end (exclusive) of each n-gram, relative to the token that the feature fires on."""


@dataclass(frozen=True)
class Ngram:
    """One n-gram of a window, and how often the feature fires on it."""

    tokens: tuple[int, ...]
    fired: int
    """Places with the n-gram where the feature fires."""
    occurrences: int
    """Counted places with the n-gram."""
    share: float
    """Share of the feature's total activation on it, over places that have such a window."""
    lift: float
    """Ratio of its frequency where the feature fires to its frequency over all counted places."""

    @property
    def precision(self) -> float:
        """Share of its occurrences on which the feature fires."""
        return self.fired / self.occurrences


@dataclass(frozen=True)
class FiringNgrams:
    """The n-grams of a feature."""

    feature: int
    n_active: int
    windows: dict[str, tuple[Ngram, ...]]
    """By the names of WINDOWS, the largest share first."""


class _Table(NamedTuple):
    """Distinct n-grams by key, ascending, with their counts and total activations."""

    key_U: NDArray[np.int64]
    count_U: NDArray[np.int64]
    total_U: NDArray[np.float64]


def firing_ngrams(store: FeatureStore, feature: int, *, top: int = 10, block: int = BLOCK) -> FiringNgrams:
    """Return the `top` n-grams of every window by share of activation, ties by token ids.

    Memory follows the feature's count and the number of distinct n-grams, not the corpus.

    Raises:
        MonosemError: there is no such feature, it never fires, or what it fires on is rows of an array.
    """
    if store.plan.of_array:
        raise MonosemError("rows of an array have no n-grams", "An index of text has them.")
    postings = store.postings(feature)
    if not len(postings.token):
        raise MonosemError(
            f"feature {feature} never fires on the indexed corpus", "`monosem find --feature` needs one that does."
        )
    order = np.argsort(postings.token)
    corpus = _Corpus(store)
    place_P, act_P = postings.token[order], postings.act[order].astype(np.float64)
    with store.reading():
        if not corpus.counts(place_P):
            raise ValueError(f"feature {feature} fires on tokens that do not count")
    windows = {}
    for name, window in WINDOWS.items():
        fired = corpus.table(place_P, act_P, window, block)
        windows[name] = _ranked(corpus, fired, window, top, block)
    return FiringNgrams(feature, len(place_P), windows)


class _Corpus:
    """Keys of the n-grams around places: token ids as digits in base vocabulary size."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._counted_N = store.layout.counted_tokens()
        starts = store.layout.contexts.start
        self._edges = np.append(starts, store.n_tokens)
        self.base = self._base()

    def counts(self, place_P: NDArray[np.int64]) -> bool:
        """Return whether all of some places count, as every place where a feature fires must."""
        return bool(self._counted_N[place_P].all())

    def _base(self) -> int:
        highest = max(int(self._store.tokens(at, at + BLOCK).max()) for at in range(0, len(self._counted_N), BLOCK))
        return max(len(self._store.vocabulary), highest + 1)

    def table(
        self, place_P: NDArray[np.int64], act_P: NDArray[np.float64], window: tuple[int, int], block: int
    ) -> _Table:
        """Return the n-grams at ascending places, `block` of the corpus's tokens at a time."""
        table = _Table(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        for start in range(0, len(self._counted_N), block):
            first, last = np.searchsorted(place_P, [start, start + block])
            if first < last:
                inside_P, key_P = self._keys(place_P[first:last], window)
                table = _added(table, key_P, act_P[first:last][inside_P])
        return table

    def occurrences(
        self, key_U: NDArray[np.int64], window: tuple[int, int], block: int
    ) -> tuple[NDArray[np.int64], int]:
        """Counted places with each of some n-grams (ascending keys), and counted places that have such a window."""
        count_U, whole = np.zeros(len(key_U), np.int64), 0
        for start in range(0, len(self._counted_N), block):
            place_P = np.flatnonzero(self._counted_N[start : start + block]) + start
            if not len(place_P):
                continue
            _, key_P = self._keys(place_P, window)
            whole += len(key_P)
            at = np.minimum(np.searchsorted(key_U, key_P), len(key_U) - 1)
            count_U += np.bincount(at[key_U[at] == key_P], minlength=len(key_U))
        return count_U, whole

    def _keys(self, place_P: NDArray[np.int64], window: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of ascending positions have the window inside their context, and the keys of those."""
        begin, end = window
        context_P = np.searchsorted(self._edges, place_P, side="right") - 1
        inside_P = (place_P + begin >= self._edges[context_P]) & (place_P + end <= self._edges[context_P + 1])
        kept = place_P[inside_P]
        first, last = max(0, int(place_P[0]) + begin), int(place_P[-1]) + max(end, 1)
        ids = self._store.tokens(first, last).astype(np.int64)
        key_P = np.zeros(len(kept), np.int64)
        for offset in range(begin, end):
            key_P = key_P * self.base + ids[kept + offset - first]
        return inside_P, key_P

    def ids(self, key: int, length: int) -> tuple[int, ...]:
        """Return the tokens that a key stands for."""
        digits = []
        for _ in range(length):
            key, digit = divmod(key, self.base)
            digits.append(digit)
        return tuple(reversed(digits))


def _added(table: _Table, key_P: NDArray[np.int64], act_P: NDArray[np.float64]) -> _Table:
    keys = np.concatenate([table.key_U, key_P])
    key_U, inverse = np.unique(keys, return_inverse=True)
    count_U = np.zeros(len(key_U), np.int64)
    np.add.at(count_U, inverse, np.concatenate([table.count_U, np.ones(len(key_P), np.int64)]))
    total_U = np.zeros(len(key_U))
    np.add.at(total_U, inverse, np.concatenate([table.total_U, act_P]))
    return _Table(key_U, count_U, total_U)


def _ranked(corpus: _Corpus, fired: _Table, window: tuple[int, int], top: int, block: int) -> tuple[Ngram, ...]:
    chosen = np.lexsort((fired.key_U, -fired.total_U))[:top]
    if not len(chosen):
        return ()
    key_U = np.sort(fired.key_U[chosen])
    count_U, whole = corpus.occurrences(key_U, window, block)
    occurrences = dict(zip(key_U.tolist(), count_U.tolist(), strict=True))
    n_fired, total = int(fired.count_U.sum()), float(fired.total_U.sum())
    ranked = []
    for i in chosen.tolist():
        key, n = int(fired.key_U[i]), int(fired.count_U[i])
        often = occurrences[key]
        ids = corpus.ids(key, window[1] - window[0])
        ranked.append(Ngram(ids, n, often, float(fired.total_U[i]) / total, n * whole / (n_fired * often)))
    return tuple(ranked)
