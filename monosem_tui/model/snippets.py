"""The strongest example of a feature, short, and a small histogram of its activations: for rows of lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.model.feature_card import ShownExample, shown
from store.index.reader import FeatureStore
from store.query.examples import TOP, windows
from store.query.histogram import activation_histogram

BEFORE, AFTER = 24, 10
"""Tokens around the peak."""
BINS = 24
"""Bins of a row's histogram, from 0 to the feature's maximum."""


@dataclass(frozen=True)
class Preview:
    """A feature as a list shows it. B bins."""

    snippet: ShownExample | None
    """None if it never fires."""
    count_B: NDArray[np.int64]
    """Its activations in equal bins from 0 to its maximum."""


UNREADABLE = Preview(None, np.zeros(BINS, np.int64))
"""Stands for a feature whose entries could not be read."""


def read_preview(store: FeatureStore, feature: int) -> Preview:
    """Read a feature's preview.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    # The store holds the entries of one feature at a time: both are taken from one read of them.
    return Preview(read_snippet(store, feature), activation_histogram(store, feature, BINS).counts)


def read_snippet(store: FeatureStore, feature: int) -> ShownExample | None:
    """Return the text of a document around a feature's strongest token; None if it never fires.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    strongest = store.postings(feature, 0, 1).token.tolist()
    if not strongest:
        return None
    place = strongest[0]
    start, stop = store.document_span(place)
    first = max(start, place - BEFORE)
    openers = np.flatnonzero(~store.counted(first, place))
    first += int(openers[-1]) + 1 if len(openers) else 0
    found = windows(store, feature, [(TOP, place)], place - first, min(AFTER, stop - place - 1))
    return shown(store, next(found))
