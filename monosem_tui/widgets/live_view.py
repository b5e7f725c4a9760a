"""The pages of Live: laid out as a whole from the present state; only cells that differ are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.message import Message

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line
from monosem_tui.widgets.line_view import LineView


class CellView(LineView):
    """A pane that is laid out as a whole."""

    HEAD = 0

    @dataclass
    class Clicked(Message):
        """A cell was clicked."""

        view: CellView
        x: int
        y: int

    def __init__(
        self,
        palette: Palette,
        lines: Callable[[int, int], list[Line]],
        words: Callable[[int, int], Line] = lambda _x, _y: (),
        *,
        shown: bool,
    ) -> None:
        """Prepare the pane.

        Args:
            palette: the style of each role.
            lines: returns all lines of the pane, given its width and its height.
            words: returns the token drawn at a cell in words; empty where there is none.
            shown: whether it is on the screen from the start.
        """
        super().__init__(palette)
        self._lay_out, self._words, self.display = lines, words, shown
        self._lines: list[Line] = []

    def redraw(self) -> None:
        """Lay the pane out from the state as it is now."""
        if self.size.width and self.size.height:
            self._lines = self._lay_out(self.size.width, self.size.height)
            self.rows = len(self._lines)
            self.refresh()

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def token_words(self, x: int, y: int) -> Line:
        """Return the token at a cell in words."""
        return self._words(x, y)

    def on_click(self, event: events.Click) -> None:
        """Post the cell."""
        self.post_message(self.Clicked(self, event.x, event.y))

    def resized(self) -> None:
        """Lay out for the new size."""
        self.redraw()
