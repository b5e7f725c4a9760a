"""Ranks that take the same steps agree when to save, when to stop, and when nobody is left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.ranks.group import Ranks

SECONDS = 1.0
"""Time between two agreements, about."""


@dataclass
class Agreement:
    """Saving, stopping and going on after a step; alone, as the one process wants.

    Ranks ask each other about once a second, at steps that follow from the slowest of them, because asking makes all
    wait for it.
    """

    ranks: Ranks
    at_fixed_steps: bool
    """Whether checkpoints are due at the same steps everywhere, so that nobody is asked about them."""
    saves: bool = False
    """Checkpoints are to be written."""
    stops: bool = False
    """All are to stop, after writing checkpoints."""
    goes_on: bool = True
    """Some training still takes steps."""
    _asked: int = 0
    """Step of the last agreement."""
    _next: int = 0
    _began: float = field(default_factory=time.perf_counter)

    def reach(self, step: int, *, stop: bool, save: bool, going: bool) -> None:
        """Settle what holds after a step, from what this process wants."""
        if self.ranks.alone:
            self.saves, self.stops, self.goes_on = save, stop, going
            return
        self.saves, self.stops = save and self.at_fixed_steps, False
        if step < self._next:
            return
        each = (time.perf_counter() - self._began) / max(1, step - self._asked)
        wait = max(1, int(SECONDS / max(each, 1e-6)))
        # Of the waits that the ranks propose the shortest holds.
        stops, saves, goes_on, shortest = self.ranks.largest([int(stop), int(save), int(going), -wait])
        self.stops, self.saves, self.goes_on = bool(stops), bool(saves), bool(goes_on)
        self._asked, self._next, self._began = step, step - shortest, time.perf_counter()
