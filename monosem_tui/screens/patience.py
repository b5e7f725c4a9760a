"""A sentence about work that takes a while, in the bottom line with its seconds until something else stands there."""

from __future__ import annotations

from time import monotonic

from textual.timer import Timer

from monosem_tui.draw.seconds import since
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart


class Waiting(ScreenPart):
    """Keeps one sentence. A key takes it away, as any other; the work goes on."""

    clock = staticmethod(monotonic)

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host
        self._timer: Timer | None = None
        self._work, self._shown, self._began = "", "", 0.0

    def begin(self, work: str) -> None:
        """Show what has begun, or how far it is; the seconds count from the first sentence on."""
        if not self._work:
            self._began = self.clock()
        self._work = work
        self._show()
        if self._timer is None:
            self._timer = self._host.set_interval(self._host.session.tuning.seconds, self._tick)

    def end(self) -> None:
        """Count no more; the sentence stays until there is another."""
        self._work = ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def suspended(self) -> None:
        """Count no more: the work was shown on another screen, or is done."""
        self.end()

    def _tick(self) -> None:
        if self._host.said == self._shown:
            self._show()

    def _show(self) -> None:
        self._host.tell(since(self._work, int(self.clock() - self._began)))
        self._shown = self._host.said
