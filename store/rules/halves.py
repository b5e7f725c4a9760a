"""The two halves of an indexed corpus's documents: one to choose on, the other to measure on.

Tokens of one document are alike, so halves are of documents, not of tokens: the half of a document is the parity of a
hash of its number and a seed. Shapes: N tokens, D documents of the measuring half.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import Mask
from store.index.reader import FeatureStore


@dataclass(frozen=True)
class Halves:
    """Which tokens choose and which measure; tokens that do not count do neither."""

    choosing_N: Mask
    measuring_N: Mask
    document_N: NDArray[np.int32]
    """Document of each token, numbered from 0 in the order of their numbers."""

    @cached_property
    def measured_D(self) -> NDArray[np.int64]:
        """The documents of the measuring half that have counted tokens, ascending."""
        return np.unique(self.document_N[self.measuring_N]).astype(np.int64)

    @cached_property
    def row_of(self) -> NDArray[np.int64]:
        """Row in `measured_D` of each document; -1 for those of the other half."""
        row = np.full(int(self.document_N.max(initial=-1)) + 1, -1)
        row[self.measured_D] = np.arange(len(self.measured_D))
        return row


def document_halves(store: FeatureStore, seed: int = 0) -> Halves:
    """Return the halves of an index's documents.

    Raises:
        MonosemError: one half has no counted tokens, as with a single document; or it is an index of rows.
    """
    if store.plan.of_array:
        raise MonosemError(f"{store.path} is an index of rows: rules and explanations need text")
    start_R, number_R = store.layout.documents
    number_D, row_R = np.unique(number_R, return_inverse=True)
    length_R = np.diff(start_R, append=store.n_tokens)
    measuring_N = np.repeat(is_measuring(number_D, seed)[row_R], length_R)
    counted_N = store.layout.counted_tokens()
    halves = Halves(counted_N & ~measuring_N, counted_N & measuring_N, np.repeat(row_R.astype(np.int32), length_R))
    if not (halves.choosing_N.any() and halves.measuring_N.any()):
        raise MonosemError(
            f"the {len(number_D)} documents of the index cannot be cut into two halves",
            "Index more text, or choose another `seed`.",
        )
    return halves


def is_measuring(number_D: NDArray[np.int64], seed: int = 0) -> Mask:
    """Return which documents, by their numbers, are in the measuring half."""
    odd_D: Mask = _mixed(number_D, seed) & np.uint64(1) == 1
    return odd_D


def _mixed(number_D: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return hashes of numbers (splitmix64's finaliser, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        x = number_D.astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
