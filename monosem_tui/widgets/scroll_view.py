"""A pane of lines that scrolls like a pager."""

from __future__ import annotations

from textual.message import Message

from monosem_tui.widgets.line_view import LineView


class ScrolledView(LineView):
    """Lines that scroll by the keys of a pager."""

    class Moved(Message):
        """Other lines are on the screen, or the cursor is elsewhere."""

    def action_scroll(self, lines: int) -> None:
        """Scroll up or down."""
        self.jump(self.first + lines)

    def action_turn(self, screens: float) -> None:
        """Scroll by a share of the visible lines."""
        step = max(1, int(self.room * abs(screens)) - (abs(screens) == 1))
        self.jump(self.first + (step if screens > 0 else -step))

    def action_end(self, side: int) -> None:
        """Go to the top or the end."""
        self.jump(self.rows if side > 0 else 0)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaint, and post `Moved`."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())
