"""Which features the list shows and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monosem_tui.text.numbers import count
from monosem_tui.text.opened import OpenRun
from monosem_tui.text.rows import ARROWS
from monosem_tui.text.safe import printable
from store.query import SORT_KEYS, Ids, SortKey, alive, matching, sort_features


@dataclass(frozen=True, eq=False)
class Selection:
    """Features chosen on another screen. Two are the same only if they are one."""

    title: str
    """What they are, for the list's title."""
    ids: Ids
    origin: str
    """The screen to go back to."""


@dataclass(frozen=True)
class Ordering:
    """What the list is asked for."""

    sort: SortKey = "max"
    descending: bool = True
    dead: bool = False
    """Whether features that never fire are shown too."""
    text: str = ""
    """What the filter looks for."""
    only: Selection | None = None
    """These alone, dead ones among them."""

    def next_sort(self) -> Ordering:
        """By the next column: numbers from large to small, ids from 0 up."""
        key = SORT_KEYS[(SORT_KEYS.index(self.sort) + 1) % len(SORT_KEYS)]
        return replace(self, sort=key, descending=key != "id")


class Catalogue:
    """The features of a run under an ordering; each letter typed into the filter costs only what it leaves over."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._columns = run.store.columns
        self.ordering = Ordering()
        self._sorted = self._sort()
        self._matches: tuple[str, Ids] = ("", self._sorted)

    @property
    def ids(self) -> Ids:
        """The features, in order."""
        return self._matches[1]

    @property
    def n_dead(self) -> int:
        """Features that never fire."""
        return int((self._columns.count_F == 0).sum())

    def order(self, ordering: Ordering) -> None:
        """Take another ordering.

        Raises:
            MonosemError: the vocabulary, which the filter looks into, cannot be read; the order stays as it was.
        """
        filter_only = replace(ordering, text=self.ordering.text) == self.ordering
        before, self.ordering = self.ordering, ordering
        rows = self._sorted if filter_only else self._sort()
        known, matches = self._matches if filter_only else ("", rows)
        # What matches a longer text is among what matches its beginning.
        among = matches if ordering.text.startswith(known) else rows
        try:
            found = self._filter(among)
        except BaseException:
            self.ordering = before
            raise
        self._sorted, self._matches = rows, (ordering.text, found)

    def title(self) -> str:
        """`1 013 of 1 024 features · max ↓`."""
        ordering, total = self.ordering, count(self._run.store.d_sae)
        parts = [f"{count(len(self.ids))} of {total} features", f"{ordering.sort} {ARROWS[ordering.descending]}"]
        if ordering.text:
            parts.insert(1, f"/{printable(ordering.text)}")
        if ordering.only:
            parts.insert(1, ordering.only.title)
        return " · ".join(parts)

    def nothing(self) -> list[str]:
        """Why the list is empty, and what to do about it."""
        found = []
        if self.ordering.text:
            text = printable(self.ordering.text)
            found.append(f"no number begins with “{text}”, and no label or token has it")
        if self.ordering.only:
            found.append(f"only {self.ordering.only.title}; escape shows the others")
        elif self.n_dead and not self.ordering.dead:
            found.append(f"{count(self.n_dead)} dead features are hidden; d shows them")
        return found

    def _sort(self) -> Ids:
        only = self.ordering.only
        ids = only.ids if only else np.arange(self._run.store.d_sae, dtype=np.int64)
        if not (self.ordering.dead or only):
            ids = alive(self._columns, ids)
        return sort_features(self._columns, ids, self.ordering.sort, descending=self.ordering.descending)

    def _filter(self, ids: Ids) -> Ids:
        text = self.ordering.text
        return matching(self._columns, self._run.store.vocabulary, self._run.notes, ids, text) if text else ids
