"""Two panes side by side with a wall that the mouse moves."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer

PACE = 1 / 15
"""Seconds between two moves: each lays out both panes, and a mouse sends more of them than a slow line carries."""


class SplitPane(Horizontal):
    """Posts `WallMoved` while the wall is dragged, and `WallReset` when it is clicked twice."""

    @dataclass
    class WallMoved(Message):
        """The wall was dragged to another column."""

        x: int
        """Cells to its left."""

    class WallReset(Message):
        """The wall was clicked twice."""

    _at: int | None = None
    """Column that the wall was dragged to; None while it is not dragged."""
    _sent: int | None = None
    _timer: Timer | None = None

    @property
    def wall(self) -> int | None:
        """Column of the wall; None where there is none."""
        raise NotImplementedError

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the wall."""
        if self.wall is not None and event.screen_x - self.region.x == self.wall:
            self._at = self._sent = self.wall
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move the wall, at most so often."""
        if self._at is not None:
            self._at = event.screen_x - self.region.x
            if self._timer is None:
                self._timer = self.set_timer(PACE, self._move)

    def on_mouse_up(self) -> None:
        """Let go of the wall."""
        if self._at is not None:
            self.release_mouse()
            self._move()
            self._at = None

    def on_click(self, event: events.Click) -> None:
        """Put the wall back where it was at first, at a second click."""
        if event.chain == 2 and self.wall is not None and event.screen_x - self.region.x == self.wall:
            self.post_message(self.WallReset())

    def _move(self) -> None:
        self._timer = None
        if self._at is not None and self._at != self._sent:
            self._sent = self._at
            self.post_message(self.WallMoved(self._at))
