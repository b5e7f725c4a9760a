"""The token under the mouse, in words in the bottom line: until the mouse leaves it or a key is pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.draw.spans import Line
from monosem_tui.widgets.line_view import LineView

PACE = 1 / 15
"""Seconds between two changes of the line: a mouse crosses more tokens than a slow line carries."""


class PointingHost(Protocol):
    """The screen that the mouse is on."""

    def set_timer(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call back once."""


class MousePlace(NamedTuple):
    """A cell of a pane."""

    view: LineView
    x: int
    y: int


class PointedToken:
    """Follows the mouse; draws only where the words have changed, and at most so often."""

    def __init__(self, host: PointingHost, draw: Callable[[], object]) -> None:
        """Begin with no mouse.

        Args:
            host: the screen.
            draw: draws the bottom line.
        """
        self._host, self._draw = host, draw
        self._place: MousePlace | None = None
        self._pace: Timer | None = None
        self.words: Line = ()
        """The token in words; empty where the mouse is on none."""

    def move(self, widget: Widget | None, x: int, y: int) -> None:
        """Take the place of the mouse."""
        self._place = MousePlace(widget, x, y) if isinstance(widget, LineView) else None
        if self._pace is None:
            self._look()

    def forget(self) -> None:
        """Forget the token until the mouse moves; the caller draws the line."""
        self._place, self.words = None, ()

    def renew(self) -> None:
        """Follow a text that has moved below the mouse; the caller draws the line."""
        if self.words:
            self.words = self._found()

    def _found(self) -> Line:
        place = self._place
        shown = place is not None and place.view.is_attached and place.view.display
        return place.view.token_words(place.x, place.y) if place is not None and shown else ()

    def _look(self) -> None:
        self._pace = None
        found = self._found()
        if found != self.words:
            self.words = found
            self._draw()
            self._pace = self._host.set_timer(PACE, self._look)
