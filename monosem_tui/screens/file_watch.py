"""Files that are looked at while a screen is shown, and not while another is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from textual.timer import Timer

from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart
from store.files.errors import MonosemError

T = TypeVar("T")


class FileWatch(ScreenPart, Generic[T]):
    """Looks when the screen is shown, and again when what was seen has been taken and `look_later` is called."""

    def __init__(
        self,
        host: MonosemScreen,
        poll: Callable[[], T],
        take: Callable[[T | MonosemError], object],
        group: str = "watch",
    ) -> None:
        """Prepare to look.

        Args:
            host: the screen.
            poll: reads what has changed, in a thread.
            take: shows it.
            group: name that tells it from other watches of the screen.
        """
        self._host, self._poll, self._take, self._group = host, poll, take, group
        self._timer: Timer | None = None

    def look(self) -> None:
        """Read what has changed."""
        self._host.away(self._poll, self._take, self._group, fail=self._take)

    def look_later(self, seconds: float) -> None:
        """Look after some seconds, if the screen is still shown then."""
        self.suspended()  # one timer at a time
        if self._host.is_current:
            self._timer = self._host.set_timer(seconds, self.look)

    def resumed(self) -> None:
        """Look at once."""
        self.look()

    def suspended(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.stop()
