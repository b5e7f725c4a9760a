"""A screen that looks at files while it is shown, and not while another is."""

from __future__ import annotations

from typing import cast

from textual.timer import Timer

from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.session import Session


class WatchingScreen(MonosemScreen):
    """Looks when it is shown, and again when a subclass has taken what was seen."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._timer = cast(Timer | None, None)

    def look(self) -> object:
        """Read what has changed, away from the keys."""
        raise NotImplementedError

    def look_again(self, after: float) -> None:
        """Look in some seconds, if the screen is still shown then."""
        self._stop()
        if self.is_current:
            self._timer = self.set_timer(after, self.look)

    def on_screen_resume(self) -> None:
        """Look at once."""
        self.look()

    def on_screen_suspend(self) -> None:
        """Nobody is watching."""
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
