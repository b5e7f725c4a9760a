"""The order of Browse's list: filter, sort, dead features, a set chosen on another screen, and going to one feature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.keys.actions import Action, Need
from monosem_tui.model.command_line import ENTRIES
from monosem_tui.model.feature_explanations import features_saying
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.session_state import BrowseMemory
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.catalogue import Catalogue, Ordering, Selection
from monosem_tui.screens.feature.pane import FeaturePane
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import ViewWanted
from monosem_tui.widgets.line_input import Typed
from store.files.errors import MonosemError
from store.query.feature_order import SORT_KEYS, SortKey
from store.query.filters import BadFilter

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide


@dataclass(frozen=True)
class ListPlace:
    """Where one was in the list before a filter was typed."""

    text: str
    """The filter at that time."""
    feature: int | None
    row: int
    """Rows of the screen above the cursor."""


class ListOrder(ScreenPart):
    """Keeps the pane's list at what `catalogue` holds."""

    def __init__(self, host: MonosemScreen, pane: FeaturePane, kept: BrowseMemory) -> None:
        """Begin where the last session ended, as far as that is still possible."""
        self._host, self._pane, self._list = host, pane, pane.state.listing
        self.catalogue = Catalogue(pane.state.run)
        self._place = ListPlace("", None, 0)
        self._visiting = False
        """Whether one feature was opened from another screen, to which escape goes back."""
        self.needs = {
            Need.DEAD: lambda: self.catalogue.n_dead > 0,
            Need.MATCHES: lambda: bool(self.ordering.text or self.ordering.only),
        }
        sort: SortKey = next((key for key in SORT_KEYS if key == kept.sort), "max")
        ordering = Ordering(sort=sort, descending=kept.descending, dead=kept.dead, text=kept.text)
        try:
            self.catalogue.order(ordering)
        except MonosemError:
            self.catalogue.order(replace(ordering, text="", sort="max"))

    @property
    def ordering(self) -> Ordering:
        """Filter, sort and selection of the list."""
        return self.catalogue.ordering

    def take_run(self, run: OpenRun) -> None:
        """Show another state of the run, in the same order."""
        ordering, feature = self.ordering, self._list.feature
        self.catalogue = Catalogue(run)
        self._list.take_run(run)
        self._order(ordering, feature)

    def show(self, feature: int | None) -> None:
        """Show what the catalogue holds, the cursor on `feature` if it is there."""
        catalogue = self.catalogue
        self._list.rearrange(
            catalogue.ids,
            title=catalogue.title(),
            empty=catalogue.nothing(),
            sort=catalogue.sorted_by,
            descending=catalogue.ordering.descending,
            feature=feature,
            outlier_led_F=catalogue.outlier_led_F,
        )
        self._host.tell()

    def worth_a_hint(self, action: Action) -> bool:
        """Name what changes the list only where the list has the keys."""
        of_list = ("browse.sort", "browse.dead", "browse.filter", "goto")
        return action.id not in of_list or not self._pane.state.reading

    def _order(self, ordering: Ordering, feature: int | None) -> None:
        try:
            self.catalogue.order(ordering)
        except BadFilter as error:
            self._host.tell(f"{error.what}: E measures them")
        except MonosemError as error:
            self._pane.state.page.complain(error)
            self._host.tell(error.what)
        else:
            self.show(feature)

    # Sorting

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.sort(self.ordering.next_sort(self.catalogue.sort_keys))

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.sort(replace(self.ordering, descending=not self.ordering.descending, ranked=False))

    def sort_by(self, key: str) -> None:
        """Sort by the column of a name that was clicked; a second click on it reverses the order."""
        known = next((one for one in SORT_KEYS if one == key), None)
        if known is None:
            self._host.tell(f"these sort the list: {', '.join(self.catalogue.sort_keys)}")
        elif known == self.catalogue.sorted_by:
            self.action_reverse()
        else:
            self.sort(self.ordering.sorted_by(known))

    def sort(self, ordering: Ordering) -> None:
        """Sort; the cursor stays with its feature, or at the top."""
        features = self._list
        self._order(ordering, features.feature if features.cursor else None)
        if self.ordering == ordering and len(features.order):
            self._host.tell(self._sorted())

    def _sorted(self) -> str:
        """Return how the list is sorted now, and where its cursor is, which has stayed with its feature."""
        features, catalogue = self._list, self.catalogue
        parts = [f"sorted by {catalogue.sorted_as()}"]
        if features.cursor:
            place = f"{count(features.cursor + 1)} of {count(len(features.order))}"
            parts.append(f"{features.feature} is {place}, g goes to the top")
        return " · ".join(parts)

    def action_dead(self) -> None:
        """Show or hide dead features."""
        ordering = self.ordering
        self._order(replace(ordering, dead=not ordering.dead), self._list.feature)
        self._host.tell(f"{count(self.catalogue.n_dead)} dead features {'hidden' if ordering.dead else 'shown'}")

    # Filtering

    def action_filter(self) -> None:
        """Type a filter."""
        self._pane.front("list")
        self._remember_place()
        self._host.line.open("/", self.ordering.text, self._typed, self._finds, guide=self._guide())

    def _guide(self) -> Guide:
        """Return the hints of filters of this run."""
        from monosem_tui.pages.filter_hints import filter_hints
        from monosem_tui.pages.filter_words import filter_words
        from monosem_tui.pages.typing_hints import Guide

        words = filter_words(self._pane.state.run, self._list.feature)
        return Guide(lambda text, at: filter_hints(text, at, words, self.catalogue.problem))

    def _finds(self) -> str:
        return "" if self.catalogue.problem else f"{count(len(self._list.order))} found"

    def _typed(self, typed: Typed) -> None:
        if typed is Typed.CHANGED:
            self._filter(self._host.input.text)
        elif typed in (Typed.NEXT, Typed.PREVIOUS):
            self._pane.action_step(1 if typed is Typed.NEXT else -1)
        elif typed is Typed.KEEP and self.catalogue.problem:
            self._host.line.reject(self.catalogue.problem)
        elif typed in (Typed.KEEP, Typed.LEAVE):
            text = self._host.line.close()
            if typed is Typed.KEEP:
                self.filter(text)
            else:
                self._return_to_place()

    def _remember_place(self) -> None:
        features = self._list
        self._place = ListPlace(self.ordering.text, features.feature, features.cursor - features.first)

    def _return_to_place(self) -> None:
        """Show the list as it was before the filter was typed, scrolled as it was."""
        place, features = self._place, self._list
        self._order(replace(self.ordering, text=place.text), place.feature)
        # Once the list has the lines again that the hints took.
        self._host.call_after_refresh(features.jump, features.cursor - place.row)

    def _clear_filter(self) -> None:
        """Show all features; the cursor stays, or goes back where it was if the filter has left none."""
        if self._list.feature is None and self._place.feature is not None:
            self._order(replace(self.ordering, text=""), self._place.feature)
        else:
            self._filter("")

    def filter(self, text: str) -> None:
        """Show the features that pass a filter; where it cannot be read, say why."""
        self._filter(text)
        if self.catalogue.problem:
            self._host.tell(self.catalogue.problem.what)

    def filter_at_once(self, text: str) -> None:
        """Filter by a text that was not typed into the list's own line."""
        self._remember_place()
        self.filter(text)

    def _filter(self, text: str) -> None:
        self._order(replace(self.ordering, text=text), self._list.feature)

    # Going to features

    def choose(self, selection: Selection, feature: int | None = None, *, page: bool = False) -> None:
        """Show some features only, and perhaps the page of one; escape goes back to where they were chosen."""
        ordering = replace(self.ordering, text="", only=selection, ranked=selection.ranked)
        self._visiting = page
        self._order(ordering, feature)
        self._pane.show_panes(replace(self._pane.state.panes, front="page" if page else "list", zoomed=None))
        self._pane.read()

    def go_to(self, feature: int) -> None:
        """Put the cursor on a feature, showing what was filtered away if it must.

        Raises:
            MonosemError: there is no such feature.
        """
        d_sae = self._pane.state.run.store.d_sae
        if feature >= d_sae:
            raise MonosemError(f"there is no feature {feature}: they are 0 to {d_sae - 1}")
        opened = []
        if (self.ordering.text or self.ordering.only) and feature not in self.catalogue.ids:
            self._order(self._all(), None)
            self._visiting = False
            opened.append("filter cleared")
        if feature not in self.catalogue.ids:
            self._order(replace(self.ordering, dead=True), None)
            opened.append("dead features shown")
        self.show(feature)
        self._host.tell(", ".join(opened))

    def go_to_said(self, text: str) -> None:
        """Go to the feature whose label or explanation contains a text; show all of them where there are several.

        Raises:
            MonosemError: nothing is said so.
        """
        run = self._pane.state.run
        found = features_saying(run.notes, run.explanations, text)
        if not found:
            names = ", ".join(entry.name for entry in ENTRIES)
            raise MonosemError(f"no feature is called “{cut(printable(text), 20)}”, and no command: {names}")
        if len(found) == 1:
            self.go_to(found[0])
        else:
            self.choose(Selection(f"“{printable(text)}”", np.array(found, np.int64), "browse"))

    def _all(self) -> Ordering:
        return replace(self.ordering, text="", only=None, ranked=False)

    # Back

    def way_back(self) -> Way | None:
        """Leave a feature opened from another screen; once the page is closed, clear the filter or leave the set."""
        if self._visiting:
            return self._leave_visit
        if self._pane.way_back():
            return None
        if self.ordering.text:
            return self._clear_filter
        return self._leave_selection if self.ordering.only else None

    def _leave_visit(self) -> None:
        self._visiting = False
        self._pane.front("list")
        self._leave_selection()

    def _leave_selection(self) -> None:
        only = self.ordering.only
        self._order(self._all(), self._list.feature)
        if only:
            self._host.post_message(ViewWanted(only.origin))
