"""The strongest example of a feature, short: for rows of lists."""

from __future__ import annotations

import numpy as np

from monosem_tui.model.feature_card import ShownExample, shown
from store.index.reader import FeatureStore
from store.query.examples import TOP, windows

BEFORE, AFTER = 24, 10
"""Tokens around the peak."""


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
