"""The lookup panel: what was found by its words, a few rows above the line of text, and a preview below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from monosem_tui.draw.cells import changed_cells
from monosem_tui.draw.numbers import count
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, Role, Span, line, rule_span, ruled
from monosem_tui.widgets.line_view import to_strip

if TYPE_CHECKING:
    from monosem_tui.model.lookup import Finding, Found

MOST = 12
"""Most rows."""
PREVIEW = 2
TALL = 16
"""Lines of a screen from which there is room for a preview."""


class LookupPanel(Widget):
    """The findings, one of them chosen."""

    class Picked(Message):
        """A finding was clicked."""

    class Moved(Message):
        """Another finding is chosen."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "LookupPanel { display: none; height: 1; layer: over; dock: bottom; margin-bottom: 1; }"

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.palette = palette
        self._found: Found | None = None
        self._chosen, self._room, self._below = 0, 1, 0
        self._state = ""
        self._preview: Sequence[Line] = ()
        self._drawn: dict[int, Line] = {}
        """The lines on the screen."""

    @property
    def chosen(self) -> Finding | None:
        """The finding that enter takes."""
        return self._found[self._chosen] if self._found else None

    def open(self, screen: Size) -> None:
        """Show the panel on a screen of some size."""
        self._room = max(2, min(MOST, screen.height // 2))
        self._below = PREVIEW if screen.height >= TALL else 0
        self.styles.height = self._room + 1 + self._below
        self._found, self._preview, self._state = None, (), ""
        self._drawn.clear()
        self.display = True

    def close(self) -> None:
        """Hide the panel."""
        self.display = False

    def show(self, found: Found, state: str) -> None:
        """Show what was found; `state` says what is still being read."""
        self._found, self._chosen, self._state = found, 0, state
        self._redraw()

    def preview(self, lines: Sequence[Line]) -> None:
        """Show a preview of what is chosen."""
        if list(lines) != list(self._preview):
            self._preview = lines
            self._redraw()

    def step(self, rows: int) -> None:
        """Choose another finding, wrapping around at the ends."""
        if self._found:
            self._choose((self._chosen + rows) % len(self._found))

    def _choose(self, number: int) -> None:
        self._chosen = number
        self._redraw()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        """Take the clicked finding."""
        number = self._first + event.y - 1
        if self._found and 0 < event.y <= self._room and number < len(self._found):
            self._chosen = number
            self._redraw()
            self.post_message(self.Picked())

    def on_mouse_scroll_down(self) -> None:
        """Choose the next finding."""
        self.step(1)

    def on_mouse_scroll_up(self) -> None:
        """Choose the finding before."""
        self.step(-1)

    @property
    def _first(self) -> int:
        """The first finding on the screen."""
        return max(0, min(self._chosen - self._room + 1, len(self._found or ()) - self._room))

    def _redraw(self) -> None:
        """Repaint the cells that differ from what is on the screen."""
        changed = []
        for y, drawn in self._drawn.items():
            if (cells := changed_cells(drawn, self._line(y, self.size.width))) is not None:
                changed.append(Region(cells[0], y, cells[1] - cells[0], 1))
        if changed or not self._drawn:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        spans = self._drawn[y] = self._line(y, self.size.width)
        return to_strip(spans, self.palette, self.size.width)

    def _line(self, y: int, cells: int) -> Line:
        if y == 0:
            return self._title(cells)
        if y <= self._room:
            return self._row(y - 1, cells)
        number = y - self._room - 1
        return line("  ", *self._preview[number]) if number < len(self._preview) else ()

    def _title(self, cells: int) -> Line:
        total = count(self._found.total) if self._found is not None else ""
        said = Span(f" {' · '.join(filter(None, (total, self._state)))} ", Role.DIM)
        return ruled(line(rule_span(1, focused=True), " ", Span("go to", Role.ACCENT), said), cells, focused=True)

    def _row(self, y: int, cells: int) -> Line:
        from monosem_tui.pages.lookup_lines import finding_row  # nobody needs it before the panel is opened

        number = self._first + y
        if self._found is not None and not len(self._found) and y == 0:
            return line(Span("   nothing has these words", Role.DIM))
        if self._found is None or number >= len(self._found):
            return ()
        return finding_row(self._found[number], cells, here=number == self._chosen)
