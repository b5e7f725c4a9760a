"""Entries of many features at once, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.feature_groups import feature_groups
from store.index.reader import FeatureStore

ENTRIES = 1 << 21
"""Entries of a block; a feature with more of them is a block of its own."""


class FeatureBlock(NamedTuple):
    """All entries of features first … stop-1, in order of features."""

    first: int
    stop: int
    feature_E: NDArray[np.int64]
    """Number of the feature, less `first`."""
    place_E: NDArray[np.int64]
    act_E: NDArray[np.float64]


def feature_blocks(store: FeatureStore, entries: int = ENTRIES) -> Iterator[FeatureBlock]:
    """Yield the entries of all features, some features at a time."""
    for first, stop in feature_groups(store.columns.count_F, entries):
        yield _block(store, first, stop)


def _block(store: FeatureStore, first: int, stop: int) -> FeatureBlock:
    pieces = []
    with store.reading():
        for part in store.parts:
            indptr = part.inverted_indptr[first : stop + 1]
            place, act = part.stored(int(indptr[0]), int(indptr[-1]))
            pieces.append((np.repeat(np.arange(stop - first), np.diff(indptr)), place, act))
    feature_E, place_E, act_E = (np.concatenate(column) for column in zip(*pieces, strict=True))
    if len(pieces) > 1:
        order = np.argsort(feature_E, kind="stable")
        feature_E, place_E, act_E = feature_E[order], place_E[order], act_E[order]
    return FeatureBlock(first, stop, feature_E, place_E, act_E * store.unit_F[first:stop][feature_E].astype(np.float64))
