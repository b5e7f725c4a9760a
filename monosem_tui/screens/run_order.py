"""The order of the list of runs: filter and sort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from monosem_tui.keys.actions import Where
from monosem_tui.model.run_order import RunOrdering
from monosem_tui.pages.feature_rows import ARROWS
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.line_input import Typed
from monosem_tui.widgets.run_list import RunList

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide


class RunOrder(ScreenPart):
    """Keeps the filter and the sort of the list."""

    def __init__(self, host: MonosemScreen, runs: RunList, changed: Callable[[], object]) -> None:
        """Begin with all runs, the newest first; `changed` shows the list in another order."""
        self._host, self._runs, self._changed = host, runs, changed
        self.ordering = RunOrdering()
        self._before = ""

    @property
    def here(self) -> Where | None:
        """The list, if it is shown."""
        return Where.RUN_LIST if self._runs.display else None

    def position(self) -> str:
        """Return the run's number and the total."""
        n = len(self._runs.states)
        return f"{self._runs.cursor + 1} of {n}" if n and self._runs.display else ""

    def _order(self, ordering: RunOrdering) -> None:
        self.ordering = ordering
        self._changed()

    # Sorting

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort(self.ordering.next_sort())

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort(self.ordering.sorted_by(self.ordering.sort))

    def _sort(self, ordering: RunOrdering) -> None:
        self._order(ordering)
        self._host.tell(f"sorted by {ordering.sort} {ARROWS[ordering.descending]}")

    # Filtering

    def action_filter(self) -> None:
        """Type a filter."""
        self._before = self.ordering.text
        self._host.line.open("/", self.ordering.text, self._typed, self._finds, guide=self._guide())

    def _guide(self) -> Guide:
        from monosem_tui.pages.prompt_hints import RUN_WORDS, run_hints
        from monosem_tui.pages.typing_hints import Guide

        known = [(state.row.status, state.row.model or "", state.row.arch or "") for state in self._runs.states]
        words = list(dict.fromkeys(word for words in zip(*known, strict=True) for word in words if word))
        return Guide(lambda text, at: run_hints(text, at, words), RUN_WORDS)

    def _finds(self) -> str:
        return f"{len(self._runs.states)} found"

    def _typed(self, typed: Typed) -> None:
        if typed is Typed.CHANGED:
            self._filter(self._host.input.text)
        elif typed in (Typed.NEXT, Typed.PREVIOUS):
            self._runs.action_move(1 if typed is Typed.NEXT else -1)
        elif typed in (Typed.KEEP, Typed.LEAVE):
            text = self._host.line.close()
            self._filter(text if typed is Typed.KEEP else self._before)

    def _filter(self, text: str) -> None:
        self._order(replace(self.ordering, text=text))
        self._host.tell()

    def way_back(self) -> Way | None:
        """Show all runs."""
        return (lambda: self._filter("")) if self.ordering.text else None
