"""The list of pairs: filter, sort, the side that is listed, trees, and one feature's partners in all other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.comparisons import HeldComparison
from monosem_tui.model.pair_catalogue import SORT_NAMES, PairOrdering, PairView
from monosem_tui.screens.compare.state import CompareState
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import ViewWanted
from monosem_tui.widgets.line_input import Typed

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide


class PairOrder(ScreenPart):
    """Keeps the list at what the catalogue holds."""

    def __init__(self, state: CompareState) -> None:
        self._state, self._host, self._list = state, state.host, state.listing
        self._before = PairOrdering()
        """How the list was ordered before one feature's partners were shown."""
        self._origin = ""
        """The screen that asked for them; empty for this one."""
        self._unfiltered: tuple[str, int | None, int] = "", None, 0
        """Filter, row of the table and scroll position before a filter was typed."""
        self._opened_readable = 0
        self.needs = {
            Need.FEATURES: lambda: len(state.catalogue.rows) > 0,
            Need.MATCHES: lambda: bool(self.ordering.text),
            Need.ONE_OTHER: lambda: self.ordering.view.which is not None,
        }

    @property
    def here(self) -> Where | None:
        """The list, unless a page is open."""
        return None if self._state.reading else Where.LIST

    def position(self) -> str:
        """Return the position of the cursor."""
        n = self._list.entries
        return f"{self._list.cursor + 1} of {n}" if n and not self._state.reading else ""

    @property
    def ordering(self) -> PairOrdering:
        """Filter, sort and view of the list."""
        return self._state.catalogue.ordering

    def take(self, held: Sequence[HeldComparison], view: PairView) -> None:
        """Show other comparisons."""
        self._state.snippets.clear()
        self._order(held, replace(self.ordering, view=view))

    def refilter(self) -> None:
        """Apply the filter again if it asks about a run that has been opened since."""
        readable = sum(self._state.others.known(held) is not None for held in self._state.catalogue.held)
        if readable != self._opened_readable and self.ordering.text:
            self._order(self._state.catalogue.held, self.ordering)
        self._opened_readable = readable

    def _order(self, held: Sequence[HeldComparison], ordering: PairOrdering, row: int | None = None) -> None:
        """Show pairs in an order, the cursor on a row of the table, else where it was."""
        catalogue, table = self._state.catalogue, self._state.catalogue.table
        if row is None and self._list.cursor:
            row = self._list.chosen
        catalogue.order(held, ordering)
        self._list.rearrange(row if catalogue.table is table else None)
        self._host.tell()

    def show_view(self, view: PairView) -> None:
        """Show another comparison, side or tree."""
        self._state.listing.trouble = ""
        self._order(self._state.catalogue.held, replace(self.ordering, view=view))

    # Sorting

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort(self.ordering.next_sort())

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort(replace(self.ordering, descending=not self.ordering.descending))

    def _sort(self, ordering: PairOrdering) -> None:
        self._order(self._state.catalogue.held, ordering)
        view = self._state.catalogue.view
        self._host.tell("a tree keeps its order" if view.tree else f"sorted by {SORT_NAMES[ordering.sort]}")

    # Filtering

    def action_filter(self) -> None:
        """Type a filter."""
        self._unfiltered = self.ordering.text, self._list.chosen, self._list.first
        self._host.line.open("/", self.ordering.text, self._typed, self._finds, guide=self._guide())

    def _guide(self) -> Guide:
        """Return the hints of filters of pairs."""
        from monosem_tui.pages.filter_hints import PAIR_EXAMPLE, filter_hints
        from monosem_tui.pages.filter_words import filter_words
        from monosem_tui.pages.typing_hints import Guide

        words, catalogue = filter_words(self._state.run, None, pairs=True), self._state.catalogue
        return Guide(lambda text, at: filter_hints(text, at, words, catalogue.problem), PAIR_EXAMPLE)

    def _finds(self) -> str:
        return "" if self._state.catalogue.problem else f"{self._list.entries} found"

    def _typed(self, typed: Typed) -> None:
        if typed is Typed.CHANGED:
            self.filter(self._host.input.text)
        elif typed in (Typed.NEXT, Typed.PREVIOUS):
            self.action_step(1 if typed is Typed.NEXT else -1)
        elif typed is Typed.KEEP and self._state.catalogue.problem:
            self._host.line.reject(self._state.catalogue.problem)
        elif typed in (Typed.KEEP, Typed.LEAVE):
            text = self._host.line.close()
            if typed is Typed.KEEP:
                self.filter(text)
            else:
                before, row, first = self._unfiltered
                self._order(self._state.catalogue.held, replace(self.ordering, text=before), row)
                self._host.call_after_refresh(self._list.jump, first)

    def filter(self, text: str) -> None:
        """Show the pairs that pass a filter."""
        self._order(self._state.catalogue.held, replace(self.ordering, text=text))

    # Other views

    def action_swap(self) -> None:
        """List the features of the other run, or those of the open one again."""
        view = self.ordering.view
        self.show_view(replace(view, mine=not view.mine, tree=False))

    def action_tree(self) -> None:
        """Show what the features of the smaller dictionary become, or pairs again."""
        view = self.ordering.view
        self.show_view(replace(view, tree=not view.tree))

    def show_partners(self, feature: int, origin: str = "") -> None:
        """Show a feature's partners in all other runs; escape goes back to the list, or to the screen that asked."""
        if self.ordering.view.feature is None:
            self._before = self.ordering
        self._origin = origin
        self._order(self._state.catalogue.held, replace(self.ordering, view=PairView(feature=feature), text=""))

    def action_step(self, rows: int) -> None:
        """Go to another entry, from anywhere."""
        self._list.go(self._list.cursor + rows)

    def way_back(self) -> Way | None:
        """Leave one feature's partners, the tree, the filter."""
        if self._state.reading:
            return None
        if self.ordering.view.feature is not None:
            return self._leave_partners
        if self.ordering.text:
            return lambda: self.filter("")
        return self.action_tree if self.ordering.view.tree else None

    def _leave_partners(self) -> None:
        held, view = self._state.catalogue.held, self._before.view
        which = view.which if view.which is not None and view.which < len(held) else 0 if len(held) == 1 else None
        self._order(held, replace(self._before, view=replace(view, which=which, tree=view.tree and which is not None)))
        if self._origin:
            self._host.post_message(ViewWanted(self._origin))
