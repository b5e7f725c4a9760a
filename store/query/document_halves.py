"""Two halves of a corpus, by documents: one to find explanations on, the other to measure them on.

A document's half follows from its number alone, so it is the same in every index of a corpus, whatever is in it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask
from store.index.reader import FeatureStore

Half = Literal["explaining", "judging"]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""Odd, near 2^64 over the golden ratio: multiples of it are spread evenly (Knuth, volume 3, section 6.4)."""


def in_half(number_N: NDArray[np.int64], half: Half) -> Mask:
    """Return which documents, by their numbers, belong to a half."""
    bit_N = (number_N.astype(np.uint64) * _GOLDEN) >> np.uint64(63)
    belongs_N: Mask = bit_N == (half == "judging")
    return belongs_N


def half_of_corpus(store: FeatureStore, half: Half) -> Mask:
    """Return which tokens of the corpus [N] are in documents of a half."""
    start, number = store.layout.documents
    length = np.diff(start, append=store.n_tokens)
    return np.repeat(in_half(number, half), length)
