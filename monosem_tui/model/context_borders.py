"""Borders of contexts inside a document: the model that was indexed saw nothing of the text before one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from store.index.reader import FeatureStore
from store.run.counted_noun import TOKEN

BORDER = "┊"
"""Stands where one context of a document ends and the next begins."""


class Border(NamedTuple):
    """A border in a text of some tokens."""

    token: int
    """The token with which the next context begins; the number of tokens where the text ends at the border."""
    instead: bool
    """Whether the border stands in place of that token, a BOS or padding. Without a BOS it is text, even uncounted."""


def context_borders(store: FeatureStore, start: int, stop: int) -> tuple[Border, ...]:
    """Return the borders at corpus places start … stop; where a document begins there is none."""
    contexts, documents = store.layout.contexts.start, store.layout.documents.start
    if not len(documents) or store.plan.noun is not TOKEN:
        return ()
    first, last = np.searchsorted(contexts, [start, stop + 1])
    places = contexts[first:last]
    at = np.minimum(np.searchsorted(documents, places), len(documents) - 1)
    inside = places[documents[at] != places].tolist()
    opened = store.spec.excluded == "bos"
    return tuple(Border(place - start, opened and not store.counted(place, place + 1)[0]) for place in inside)
