"""Which features the list shows and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monosem_tui.text.numbers import count
from monosem_tui.text.opened import OpenRun
from monosem_tui.text.rows import ARROWS
from monosem_tui.text.safe import printable
from store.query import SORT_KEYS, Ids, SortKey, alive, matching, sort_features


@dataclass(frozen=True)
class Ordering:
    """What the list was asked for."""

    sort: SortKey = "max"
    descending: bool = True
    dead: bool = False
    """Whether features that never fire are shown too."""
    text: str = ""
    """What the filter looks for."""

    def next_sort(self) -> Ordering:
        """By the next column: numbers from large to small, ids from 0 up."""
        key = SORT_KEYS[(SORT_KEYS.index(self.sort) + 1) % len(SORT_KEYS)]
        return replace(self, sort=key, descending=key != "id")


def sorted_ids(run: OpenRun, ordering: Ordering) -> Ids:
    """Everything but the filter: it changes with each letter typed, the rest does not."""
    ids = np.arange(run.store.d_sae, dtype=np.int64)
    if not ordering.dead:
        ids = alive(run.store.columns, ids)
    return sort_features(run.store.columns, ids, ordering.sort, descending=ordering.descending)


def filtered(run: OpenRun, ids: Ids, text: str) -> Ids:
    """Those of `ids` that match, in the same order.

    Raises:
        MonosemError: the vocabulary cannot be read.
    """
    return matching(run.store.columns, run.store.vocabulary, run.notes, ids, text) if text else ids


def title(run: OpenRun, ordering: Ordering, found: int) -> str:
    """`1 013 of 1 024 features · max ↓`."""
    parts = [f"{count(found)} of {count(run.store.d_sae)} features", f"{ordering.sort} {ARROWS[ordering.descending]}"]
    if ordering.text:
        parts.insert(1, f"/{printable(ordering.text)}")
    return " · ".join(parts)


def nothing(run: OpenRun, ordering: Ordering) -> str:
    """Why the list is empty."""
    hidden = "" if ordering.dead else " that fires (d shows the dead ones too)"
    if ordering.text:
        return f"no feature{hidden} has “{printable(ordering.text)}” in its number, label or token"
    return f"none of {count(run.store.d_sae)} features has fired; d shows them"
