"""The features in the list, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.feature_rows import ARROWS
from store.query.feature_order import COLUMN_KEYS, SORT_KEYS, Ids, SortKey, alive, differing
from store.query.filter_parser import parse_filter
from store.query.filters import All, BadFilter, FilterSource, Marked


@dataclass(frozen=True, eq=False)
class Selection:
    """Features chosen on another screen. Two are the same only if they are one."""

    title: str
    """For the list's title."""
    ids: Ids
    origin: str
    """The screen to go back to."""
    ranked: bool = False
    """Whether they are ranked; the list keeps their order until it is sorted."""


@dataclass(frozen=True)
class Ordering:
    """The order and filter requested for the list."""

    sort: SortKey = "max"
    descending: bool = True
    dead: bool = False
    """Whether features that never fire are shown too."""
    text: str = ""
    """The filter."""
    only: Selection | None = None
    """If given, only these features, dead ones included."""
    ranked: bool = False
    """Whether they are in the order of `only`, whatever `sort` says."""

    def next_sort(self, keys: Sequence[SortKey]) -> Ordering:
        """Return the order by the next of some columns: numbers from large to small, ids from 0 up."""
        return self.sorted_by(keys[(keys.index(self.sort) + 1) % len(keys)] if self.sort in keys else keys[0])

    def sorted_by(self, key: SortKey) -> Ordering:
        """Return the order by a column: numbers from large to small, ids from 0 up."""
        return replace(self, sort=key, descending=key != "id", ranked=False)


class Catalogue:
    """The features of a run under an ordering."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._columns = run.store.columns
        self._source = FilterSource(run.store, run.notes, run.explanations)
        self.ordering = Ordering()
        self.problem: BadFilter | None = None
        """Why the filter cannot be applied, such as while it is typed; the list stays as it was before."""
        self._order = self.ordering, False
        self._sorted = self._sort(*self._order)
        self.ids = self._sorted
        """The features, in order."""
        self._filter = ""
        """The filter that they have passed: the last one that could be applied."""

    @property
    def n_dead(self) -> int:
        """Features that never fire."""
        return int((self._columns.count_F == 0).sum())

    @property
    def sort_keys(self) -> Sequence[SortKey]:
        """The columns and shares that can sort the list."""
        keys = COLUMN_KEYS if self._run.kinds is None else SORT_KEYS
        return keys if differing(self._columns.decoder_norm_F) else tuple(key for key in keys if key != "norm")

    @property
    def outlier_led_F(self) -> NDArray[np.bool_]:
        """Which features have their maximum on an outlier token [F]; sorted by it, they come after all others."""
        return self._source.outlier_led()

    def order(self, ordering: Ordering) -> None:
        """Take another ordering.

        Raises:
            MonosemError: the vocabulary, which the filter needs, cannot be read, or the list is to be sorted by shares
                that were not measured; the order stays as it was.
        """
        try:
            wanted, problem = parse_filter(ordering.text), None
        except BadFilter as error:
            wanted, problem = All(), error
        order = replace(ordering, text=""), Marked("dead") in wanted.filters
        rows = self._sorted if order == self._order else self._sort(*order)
        try:
            ids = wanted.keep(self._source, rows)
        except BadFilter as error:
            ids, problem = rows, error
        if problem is None or order != self._order:
            self.ids, self._filter = ids, ordering.text if problem is None else ""
        self.ordering, self.problem, self._order, self._sorted = ordering, problem, order, rows

    @property
    def sorted_by(self) -> str:
        """The column that the list is sorted by; empty where it keeps the order of a ranking."""
        return "" if self.ordering.ranked else self.ordering.sort

    def title(self) -> str:
        """Return `1 013 of 1 024 features · max ↓`."""
        ordering, total = self.ordering, count(self._run.store.d_sae)
        parts = [f"{count(len(self.ids))} of {total} features", self.sorted_as()]
        if self._filter:
            parts.insert(1, f"/{printable(self._filter)}")
        if ordering.only:
            parts.insert(1, ordering.only.title)
        return " · ".join(parts)

    def sorted_as(self) -> str:
        """Return `density ↓`, or `max ↓ outliers last` where some features have their maximum on an outlier token."""
        ordering = self.ordering
        if ordering.ranked:
            return "as ranked"
        last = " outliers last" if ordering.sort == "max" and self.outlier_led_F[self.ids].any() else ""
        return f"{ordering.sort} {ARROWS[ordering.descending]}{last}"

    def nothing(self) -> list[str]:
        """Return why the list is empty, and what to do about it."""
        found = []
        if self._filter:
            text = printable(self._filter)
            plain = text.isalnum()
            found.append(
                f"no feature matches “{text}” (ids, labels, explanations, tokens searched)"
                if plain
                else f"nothing passes “{text}”"
            )
        if self.ordering.only:
            found.append(f"only {self.ordering.only.title}; escape shows the others")
        elif self.n_dead and not self.ordering.dead:
            found.append(f"{count(self.n_dead)} dead features are hidden; D shows them")
        return found

    def without(self, feature: int) -> str:
        """Return why the list does not have a feature; empty where it has."""
        if feature in self.ids:
            return ""
        dead = self._columns.count_F[feature] == 0 and not self.ordering.dead
        if self.ordering.only:
            why = f"it holds only {self.ordering.only.title}"
        elif dead:
            why = "dead features are hidden"
        else:
            why = f"the filter {printable(self._filter)} leaves it out"
        return f"not in the list: {why}"

    def _sort(self, ordering: Ordering, dead: bool) -> Ids:
        """Return the features in the given order; dead ones also where the filter asks for them."""
        only = ordering.only
        ids = only.ids if only else np.arange(self._run.store.d_sae, dtype=np.int64)
        if not (ordering.dead or dead or only):
            ids = alive(self._columns, ids)
        if only and ordering.ranked:
            return ids
        ids = self._source.sort(ids, ordering.sort, descending=ordering.descending)
        return self._outliers_last(ids) if ordering.sort == "max" else ids

    def _outliers_last(self, ids: Ids) -> Ids:
        """Put features whose maximum is on an outlier token behind those that are on others, before dead ones.

        Near copies of one outlier feature would fill the first screen, and say the same in every row.
        """
        rank_N = self.outlier_led_F[ids] + 2 * (self._columns.count_F[ids] == 0)
        return ids[np.argsort(rank_N, kind="stable")] if rank_N.any() else ids
