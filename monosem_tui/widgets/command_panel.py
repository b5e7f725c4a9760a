"""The command palette: actions by name, a few rows above the line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import Line, Role, Span, crop, cursor_mark, line, rule_span, ruled, width_of
from monosem_tui.keys.actions import shown_key
from monosem_tui.widgets.line_view import to_strip

if TYPE_CHECKING:
    from monosem_tui.model.command_search import Offer

MOST = 12
"""Most rows."""
KEYS = 8


class CommandPanel(Widget):
    """The matching commands, one of them chosen."""

    class Picked(Message):
        """A command was clicked."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "CommandPanel { display: none; height: 1; }"

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.palette = palette
        self._offers: list[Offer] = []
        self._found: list[Offer] = []
        self._chosen, self._room = 0, 1

    @property
    def chosen(self) -> Offer | None:
        """The command that enter runs."""
        return self._found[self._chosen] if self._found else None

    def open(self, offers: list[Offer], screen: Size) -> None:
        """Show commands on a screen of some size."""
        self._offers, self._room = offers, max(2, min(MOST, screen.height // 2))
        self.styles.height = self._room + 1
        self.display = True
        self.find("")

    def close(self) -> None:
        """Hide the panel."""
        self.display = False

    def find(self, text: str) -> None:
        """Show the commands that match a text."""
        from monosem_tui.model.command_search import found

        self._found, self._chosen = found(self._offers, text), 0
        self.refresh()

    def step(self, rows: int) -> None:
        """Choose another command, wrapping around at the ends."""
        if self._found:
            self._chosen = (self._chosen + rows) % len(self._found)
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Run the clicked command."""
        number = self._first + event.y - 1
        if event.y and number < len(self._found):
            self._chosen = number
            self.refresh()
            self.post_message(self.Picked())

    def on_mouse_scroll_down(self) -> None:
        """Choose the next command."""
        self.step(1)

    def on_mouse_scroll_up(self) -> None:
        """Choose the command before."""
        self.step(-1)

    @property
    def _first(self) -> int:
        """The first command on the screen."""
        return max(0, min(self._chosen - self._room + 1, len(self._found) - self._room))

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        cells = self.size.width
        return to_strip(self._title(cells) if y == 0 else self._row(y - 1, cells), self.palette, cells)

    def _title(self, cells: int) -> Line:
        head = line(
            rule_span(1, focused=True), " ", Span("commands", Role.ACCENT), Span(f" {len(self._found)} ", Role.DIM)
        )
        return ruled(head, cells, focused=True)

    def _row(self, y: int, cells: int) -> Line:
        first = self._first
        if not self._found and y == 0:
            return line(Span("   no command has these words", Role.DIM))
        if first + y >= len(self._found):
            return ()
        action, why_not = self._found[first + y]
        here = first + y == self._chosen
        key = fit(shown_key(action.keys[0]), KEYS)
        role = Role.CURSOR if here else Role.PLAIN
        if why_not:
            text = line(Span(f"{key} {action.title}", role if here else Role.DIM), Span(f"  {why_not}", Role.DIM))
        else:
            text = line(Span(key, role if here else Role.BOLD), Span(f" {action.title}", role))
        shown = crop(line(cursor_mark(here), " ", *text), cells)
        return line(*shown, Span(" " * (cells - width_of(shown)), role)) if here else shown
