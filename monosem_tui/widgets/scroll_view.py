"""A pane of lines that scrolls like a pager."""

from __future__ import annotations

from textual.message import Message

from monosem_tui.draw.spans import Line, Role, Span, line
from monosem_tui.widgets.line_view import LineView

WALL, FORK = "│", "┬"
LEAST = 40
"""Cells below which lines are cut rather than laid out again."""


class ScrolledView(LineView):
    """Lines that scroll by the keys of a pager."""

    beside = False
    """Whether another pane is at its left, and so a wall between them."""

    class Moved(Message):
        """Other lines are on the screen, or the cursor is elsewhere."""

    def focus_on_click(self) -> bool:
        """Return whether a click brings the keys here: not one on the wall."""
        return not (self.beside and self.app.mouse_position.x == self.region.x)

    def action_scroll(self, lines: int) -> None:
        """Scroll up or down."""
        self.jump(self.first + lines)

    def action_turn(self, screens: float) -> None:
        """Scroll by a share of the visible lines."""
        self.jump(self.first + self.step(screens))

    def action_end(self, side: int) -> None:
        """Go to the top or the end."""
        self.jump(self.rows if side > 0 else 0)

    def action_entry(self, number: int) -> None:
        """Go to a line by its number, counted from 1."""
        self.jump(number - 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaint, and post `Moved`."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def blank(self) -> Line:
        """Return the wall alone."""
        return line(Span(f"{WALL} ", Role.DIM)) if self.beside else line(" ")

    def position(self) -> str:
        """Return the visible lines in words."""
        return f"lines {self.first + 1}–{min(self.rows, self.first + self.room)} of {self.rows}"
