"""The training of one run as it goes on: curves that grow with its log."""

from __future__ import annotations

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, line, rule
from monosem_tui.model.training_watch import TrainingWatch
from monosem_tui.pages.training_page import dashboard
from monosem_tui.widgets.scroll_view import LEAST, ScrolledView


class TrainingView(ScrolledView):
    """Laid out as a whole; only lines that differ are drawn."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self.followed: TrainingWatch | None = None
        """The training that is followed."""
        self.title = ""
        self._lines: list[Line] = []

    def show(self, watch: TrainingWatch, title: str) -> None:
        """Show a training as it is now."""
        self.followed, self.title = watch, title
        self._lay_out()

    def resized(self) -> None:
        """Lay out for the new size."""
        self._lay_out()
        self.post_message(self.Moved())

    def head(self, _y: int) -> Line:
        """Return a rule with the run's name."""
        return rule(self.title, self.size.width, focused=True)

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def _lay_out(self) -> None:
        if self.followed is None:
            return
        cells = max(LEAST, self.size.width - 2)
        self._lines = [line(" ", *spans) for spans in dashboard(self.followed, cells, self.room)]
        self.rows = len(self._lines)
        self.jump(self.first)
        self.refresh()
