"""Runs that are marked in the list, shown beside each other in its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.run_differences import ComparedRun, read_compared
from monosem_tui.pages.run_differences_page import MOST
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.run_differences_view import RunDifferencesView
from monosem_tui.widgets.run_list import RunList


class RunDifferences(ScreenPart):
    """Marks runs, and opens and closes the page."""

    def __init__(
        self, host: MonosemScreen, runs: RunList, view: RunDifferencesView, changed: Callable[[], object]
    ) -> None:
        """Prepare; `changed` is called when another pane is shown."""
        self._host, self._runs, self._view, self._changed = host, runs, view, changed
        self.needs = {Need.MARKED: lambda: len(self._marked) > 1}
        view.display = False

    @property
    def _marked(self) -> list[Path]:
        """The marked runs in the order of the list."""
        return [state.path for state in self._runs.states if state.path in self._runs.marked]

    @property
    def here(self) -> Where | None:
        """The page, if it is open."""
        return Where.RUN_DIFFERENCES if self._view.display else None

    def position(self) -> str:
        """Return the visible lines."""
        return self._view.position() if self._view.display else ""

    def action_mark(self) -> None:
        """Mark the run under the cursor and go to the next, or take its mark away."""
        state = self._runs.chosen
        if state is None:
            return
        if state.path not in self._runs.marked and len(self._marked) == MOST:
            self._host.tell(f"{MOST} runs are marked already: v on one of them takes its mark away")
            return
        self._runs.marked ^= {state.path}
        self._runs.action_move(1)
        self._runs.redraw()
        n = len(self._marked)
        self._host.tell(f"{count(n)} run{'s' * (n != 1)} marked" + (" · c compares them" if n > 1 else ""))

    def action_differences(self) -> None:
        """Show the marked runs side by side."""
        marked = {*self._marked}
        states = [state for state in self._runs.states if state.path in marked]
        self._host.away(partial(read_compared, states), self._show, "run differences")

    def _show(self, runs: list[ComparedRun]) -> None:
        self._turn(shown=True)
        self._view.show(runs)
        self._host.retell()

    def _turn(self, *, shown: bool) -> None:
        self._view.display, self._runs.display = shown, not shown
        self._host.set_focus(self._view if shown else self._runs)
        self._changed()

    def way_back(self) -> Way | None:
        """Show the list again."""
        return (lambda: self._turn(shown=False)) if self._view.display else None

    def cover(self) -> Way | None:
        """Show the list again."""
        return self.way_back()
