"""A pane of lines that scrolls like a pager."""

from __future__ import annotations

from textual.message import Message

from monosem_tui.widgets.line_view import LineView


class ScrolledView(LineView):
    """Lines, moved by the keys that every pager has."""

    class Moved(Message):
        """Other lines came to be on the screen."""

    def action_scroll(self, lines: int) -> None:
        """Up or down."""
        self.jump(self.first + lines)

    def action_turn(self, screens: float) -> None:
        """By a part of what is visible."""
        step = max(1, int(self.room * abs(screens)) - (abs(screens) == 1))
        self.jump(self.first + (step if screens > 0 else -step))

    def action_end(self, side: int) -> None:
        """Top or end."""
        self.jump(self.rows if side > 0 else 0)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaint, and say so."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())
