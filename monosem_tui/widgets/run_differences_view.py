"""Runs beside each other: a plot of their figures and a table."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, line, rule
from monosem_tui.model.run_differences import ComparedRun
from monosem_tui.pages.run_differences_page import comparison_lines
from monosem_tui.widgets.scroll_view import LEAST, ScrolledView


class RunDifferencesView(ScrolledView):
    """Laid out as a whole."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self._runs: Sequence[ComparedRun] = ()
        self._lines: list[Line] = []

    def show(self, runs: Sequence[ComparedRun]) -> None:
        """Show some runs, from the top."""
        self._runs = runs
        self.resized()
        self.jump(0)

    def resized(self) -> None:
        """Lay out for the new size."""
        self._lines = []
        if self._runs:
            drawn = comparison_lines(self._runs, max(LEAST, self.size.width - 2), self.room)
            self._lines = [line(" ", *spans) for spans in drawn]
        self.rows = len(self._lines)
        self.jump(self.first)
        self.refresh()
        self.post_message(self.Moved())

    def head(self, _y: int) -> Line:
        """Return a rule with the number of runs."""
        return rule(f"{len(self._runs)} runs side by side", self.size.width, focused=True)

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]
