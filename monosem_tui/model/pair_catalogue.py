"""The pairs in the list of Compare: which comparison, which side, in which order, and what a filter leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.comparisons import HeldComparison
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.pair_filter import PairFilter, parse_pair_filter
from monosem_tui.model.pair_table import (
    PAIR_SORTS,
    Numbers,
    PairSort,
    PairTable,
    pairs_in_all,
    pairs_of,
    partners_of,
    tree_of,
)
from store.query.filters import BadFilter, FilterSource

ARROWS = {True: "↓", False: "↑"}
SORT_NAMES: dict[PairSort, str] = {"r": "r", "cosine": "cosine", "n": "units", "id": "id"}


@dataclass(frozen=True)
class PairView:
    """Contents of the list."""

    which: int | None = None
    """Number of the comparison; None for all of them together."""
    mine: bool = True
    """Whether the features of the open run are listed, or those of the other."""
    tree: bool = False
    """Whether what the features of the smaller dictionary become is listed."""
    feature: int | None = None
    """If given, this feature's partners in all other runs are listed."""


@dataclass(frozen=True)
class PairOrdering:
    """The order and filter requested for the list."""

    view: PairView = PairView()
    sort: PairSort = "r"
    descending: bool = True
    text: str = ""
    """The filter."""

    def next_sort(self) -> PairOrdering:
        """Return the order by the next column: numbers from large to small, ids from 0 up."""
        key = PAIR_SORTS[(PAIR_SORTS.index(self.sort) + 1) % len(PAIR_SORTS)]
        return replace(self, sort=key, descending=key != "id")


class PairCatalogue:
    """The pairs under an ordering."""

    def __init__(self, run: OpenRun, other: Callable[[HeldComparison], OpenRun | None]) -> None:
        """Prepare an empty catalogue.

        Args:
            run: the open run.
            other: the other run of a comparison, if it has been opened.
        """
        self._run, self._other = run, other
        self._sources: dict[int, FilterSource] = {}
        self.held: Sequence[HeldComparison] = ()
        self.ordering = PairOrdering()
        self.table = partners_of((), 0)
        self.rows: Numbers = np.zeros(0, np.int64)
        """Rows of the table, in order."""
        self.problem: BadFilter | None = None
        """Why the filter cannot be applied, such as while it is typed; the list stays as it was before."""
        self._filter = ""
        """The filter that the rows have passed: the last one that could be applied."""
        self._made: tuple[Sequence[HeldComparison], PairView] | None = None

    @property
    def view(self) -> PairView:
        """Contents of the list, after `only:` has had its say."""
        return self._made[1] if self._made else self.ordering.view

    @property
    def chosen(self) -> HeldComparison | None:
        """The comparison of all rows; None where they are of several."""
        view = self.view
        return None if view.which is None or view.feature is not None else self.held[view.which]

    def order(self, held: Sequence[HeldComparison], ordering: PairOrdering) -> None:
        """Take other comparisons, or another ordering."""
        try:
            wanted, problem = parse_pair_filter(ordering.text), None
        except BadFilter as error:
            wanted, problem = PairFilter("", (), ()), error
        view = self._with_side(ordering.view, wanted.side)
        if view is None:
            problem, view = BadFilter("only:B needs one other run: o chooses it"), ordering.view
        fresh = self._made != (held, view)
        if fresh:
            self.held, self._made, self.table = held, (held, view), self._tabled(held, view)
        try:
            rows = wanted.rows(self.table, *self._both_sources()) if problem is None else np.arange(len(self.table))
        except BadFilter as error:
            rows, problem = np.arange(len(self.table)), error
        if problem is None or fresh:
            self.rows, self._filter = rows, ordering.text if problem is None else ""
        self.rows = self.table.ordered(self.rows, ordering.sort, descending=ordering.descending)
        self.ordering, self.problem = ordering, problem

    def title(self) -> str:
        """Return `stories with gemma · 34 of 402 features · r ↓`."""
        ordering, view = self.ordering, self.view
        parts = [self._of(), f"{self._counted()}"]
        if self._filter:
            parts.insert(1, f"/{printable(self._filter)}")
        if not view.tree:
            parts.append(f"{SORT_NAMES[ordering.sort]} {ARROWS[ordering.descending]}")
        return " · ".join(parts)

    def _counted(self) -> str:
        table = self.table
        if table.root_N is None:
            what = "runs" if self.view.feature is not None else "judged features"
            return f"{count(len(self.rows))} of {count(len(table))} {what}"
        roots = table.root_N[self.rows]
        return f"{count(int(roots.sum()))} features become {count(int((~roots).sum()))}"

    def _of(self) -> str:
        run, view, chosen = self._run.name, self.view, self.chosen
        if view.feature is not None:
            return f"partners of {view.feature} in other runs"
        if chosen is None:
            return f"{run} with all {len(self.held)} other runs"
        if view.tree:
            return "tree of " + " and ".join(self._small_first(chosen))
        return f"{run} with {chosen.name}" if view.mine else f"{chosen.name} with {run}"

    def _small_first(self, held: HeldComparison) -> tuple[str, str]:
        names = self._run.name, held.name
        return names if self.table.first_is_mine else (names[1], names[0])

    def nothing(self) -> list[str]:
        """Return why the list is empty, and what to do about it."""
        if not self.held:
            return [
                f"{self._run.name} has not been compared with another run yet.",
                "",
                f"`monosem compare {self._run.name} OTHER` finds, for each feature, the one of OTHER that fires on the "
                "same text: another seed, size, layer or model, whatever its tokenizer. Both have to be indexed on the "
                "same documents.",
            ]
        if self.ordering.text:
            return [f"nothing passes “{printable(self.ordering.text)}”"]
        return ["No feature fires often enough to be judged, in all of these comparisons."]

    @staticmethod
    def _with_side(view: PairView, side: str) -> PairView | None:
        """Return a view of the side that a filter asks for; None where there is none."""
        if not side or view.tree or view.feature is not None:
            return view
        return None if side == "B" and view.which is None else replace(view, mine=side == "A")

    @staticmethod
    def _tabled(held: Sequence[HeldComparison], view: PairView) -> PairTable:
        if not held:
            return partners_of((), 0)
        if view.feature is not None:
            return partners_of(held, view.feature)
        if view.which is None:
            return pairs_in_all(held)
        one = held[view.which]
        return tree_of(one, view.which) if view.tree else pairs_of(one, view.which, mine=view.mine)

    def _both_sources(self) -> tuple[FilterSource | None, FilterSource | None]:
        """Return what filters ask about the listed side and the other."""
        other = self._other(self.chosen) if self.chosen else None
        mine, theirs = self._source(self._run), self._source(other) if other else None
        return (mine, theirs) if self.table.first_is_mine else (theirs, mine)

    def _source(self, run: OpenRun) -> FilterSource:
        if id(run.store) not in self._sources:
            self._sources[id(run.store)] = FilterSource(run.store, run.notes, run.explanations)
        return self._sources[id(run.store)]
