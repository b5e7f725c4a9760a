"""A few lines above the bottom line, which come and go."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line
from monosem_tui.widgets.line_view import to_strip


class LinesPanel(Widget):
    """Lines below each other; the height stays while the text changes."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "LinesPanel { display: none; height: 1; }"

    def __init__(self, palette: Palette, height: int = 1) -> None:
        super().__init__()
        self.palette = palette
        self.styles.height = height
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show lines; send nothing if they are the same as before."""
        if list(lines) != list(self._lines):
            self._lines = lines
            self.refresh()

    def stand(self, lines: Sequence[Line]) -> None:
        """Show lines in as much height as they need; nothing of the panel where there are none."""
        self.display = bool(lines)
        if lines:
            self.styles.height = len(lines)
            self.show(lines)

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        spans = self._lines[y] if y < len(self._lines) else ()
        return to_strip(spans, self.palette, self.size.width)


class SentencePanel(LinesPanel):
    """The lines of a long sentence. They cover what is there rather than moving it, as they go with the next key."""

    DEFAULT_CSS = "SentencePanel { layer: over; dock: bottom; margin-bottom: 1; }"
