"""Check what tokens cover of the original text against the bytes that they stand for.

Where a document's tokens give back the text of the stored digest, each must cover exactly its own bytes, widened to
whole characters, a space before them left out or not. Tokenizers that change the text leave nothing to compare with but
the bounds.

Shapes: N tokens of a document, B bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import open_sealed, read_seal
from store.index.corpus_text import NO_OPENER, opening_token
from store.index.offsets_file import KIND
from store.index.reader import FeatureStore
from store.index.text_spans import GROUP, TextColumns, text_digest

_CONTINUES = 0x80
"""The upper two bits of a byte that continues a character in UTF-8."""
_SPACE = ord(" ")


def text_problem(path: Path) -> str:
    """Return what is inconsistent in the text columns of a features.h5, or beside it; "" where there are none.

    Raises:
        MonosemError: a column holds impossible values.
    """
    with FeatureStore.open(path) as store:
        columns = store.layout.text
        return "" if columns is None else _Check.of(store, columns).problem()


def offsets_problem(path: Path) -> str:
    """Return what is inconsistent in an offsets.h5, or between it and the features.h5 beside.

    Raises:
        MonosemError: a column holds impossible values, or there is no such features.h5.
    """
    features = path.with_name("features.h5")
    with open_sealed(path, KIND) as file:
        if file.attrs.get("index") != read_seal(features).sha256:
            return "it belongs to another features.h5; `monosem index RUN --add-offsets` makes it anew"
    return text_problem(features)


@dataclass
class _Check:
    """The documents of an index that lie in one piece."""

    store: FeatureStore
    columns: TextColumns
    opener: int
    exact: int = 0
    """Documents whose tokens give back their text."""
    other: int = -1
    """A document whose tokens lie as those of an exact one would, and that is another text."""

    @classmethod
    def of(cls, store: FeatureStore, columns: TextColumns) -> _Check:
        return cls(store, columns, opening_token(store, store.layout.counted_tokens()))

    def problem(self) -> str:
        """Return the first thing that does not fit."""
        start_R, number_R = self.store.layout.documents
        stop_R = np.append(start_R[1:], self.store.n_tokens)
        _, pieces, times = np.unique(number_R, return_inverse=True, return_counts=True)
        others = 0
        for run in np.flatnonzero((times[pieces] == 1) & (self.columns.bytes_R > 0)).tolist():
            if problem := self._run_problem(run, int(start_R[run]), int(stop_R[run])):
                return f"{GROUP}: {problem} in document {number_R[run] + 1}"
            others += self.other == run
        if self.other >= 0 and self.exact > others and self._has_all_bytes():
            return f"{GROUP}: the text of document {number_R[self.other] + 1} is not that of its tokens"
        return ""

    def _has_all_bytes(self) -> bool:
        """Return whether the vocabulary can spell any text, so that a tokenizer need not change it."""
        vocabulary = self.store.vocabulary
        singles = {token for token in vocabulary.tokens(range(len(vocabulary))) if len(token) == 1}
        return len(singles) == 256

    def _run_problem(self, run: int, start: int, stop: int) -> str:
        ids = self.store.tokens(start, stop).astype(np.int64)
        has_text = np.ones(len(ids), bool) if self.opener == NO_OPENER else ids != self.opener
        first_N, last_N = self.columns.start_N[start:stop], self.columns.end_N[start:stop]
        covers = last_N > first_N
        digest, n_bytes = self.columns.digest_R[run].tobytes(), int(self.columns.bytes_R[run])
        raw_B, length_N = self._text(ids[covers])
        first_T, last_T = _whole_characters(raw_B, length_N)
        spaced_T = raw_B[np.minimum(first_T, max(len(raw_B) - 1, 0))] == _SPACE if len(raw_B) else np.empty(0, bool)
        begins = (first_N[covers] == first_T) | (spaced_T & (first_N[covers] == first_T + 1))
        fits = bool(begins.all()) and np.array_equal(last_N[covers], last_T)
        if text_digest(raw_B.tobytes()) == digest:
            self.exact += 1
            return "" if fits and len(raw_B) == n_bytes else "a token covers other bytes than its own"
        if fits and len(raw_B) and stop < self.store.n_tokens:
            self.other = run
        unseparated = has_text & (np.arange(len(ids)) < len(ids) - 1)
        for kept in (has_text, unseparated):
            if text_digest(self._text(ids[kept])[0].tobytes()) == digest:
                return "a token covers nothing where it has text"
        return ""

    def _text(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the bytes of tokens and how many each has, without a space before all of them."""
        raw_B, length_N = self.store.vocabulary.joined(ids)
        if len(raw_B) and raw_B[0] == _SPACE:
            length_N = length_N.copy()
            length_N[int(np.flatnonzero(length_N)[0])] -= 1
            raw_B = raw_B[1:]
        return raw_B, length_N


def _whole_characters(
    raw_B: NDArray[np.uint8], length_N: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bytes of each token, from and to, widened to whole characters."""
    begins = np.append(np.flatnonzero((raw_B & 0xC0) != _CONTINUES), len(raw_B))
    end_N = np.cumsum(length_N)
    start_N = end_N - length_N
    first_N = begins[np.maximum(np.searchsorted(begins, start_N, "right") - 1, 0)]
    last_N = begins[np.minimum(np.searchsorted(begins, end_N, "left"), len(begins) - 1)]
    return first_N, last_N
