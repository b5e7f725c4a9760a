"""Jumps in the list, and the way back from them: ctrl+o goes to where the cursor was before the last one."""

from __future__ import annotations

from monosem_tui.keys.actions import Need
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.feature.trail import FeatureTrail
from monosem_tui.screens.part import ScreenPart

KEPT = 100
"""Jumps that are kept, as in vim."""


class FeatureJumps(ScreenPart):
    """Notices when the cursor goes beyond what was on the screen: by G, by a number, by `:`, from another screen."""

    def __init__(self, state: PaneState, trail: FeatureTrail) -> None:
        """Begin without jumps.

        Args:
            state: what the pane is about.
            trail: features followed on the page; on the page ctrl+o goes back in it first.
        """
        self._state, self._trail = state, trail
        self._left: list[int] = []
        """Features that a jump has left, the last one at the end."""
        self._at: tuple[int, int] | None = None
        """Feature and row of the cursor when it was seen last."""
        self.needs = {Need.JUMPED: lambda: bool(self._left) or self._trail.way_back() is not None}

    def moved(self) -> None:
        """Take note of where the cursor is now, and of a jump if it has made one."""
        listing, before = self._state.listing, self._at
        if listing.feature is None:
            return
        self._at = listing.feature, listing.cursor
        if before is not None and before[0] != listing.feature and abs(before[1] - listing.cursor) > listing.room:
            self._left = [*self._left[1 - KEPT :], before[0]]

    def action_jump_back(self) -> None:
        """Go back to the feature before on the page, else to where the cursor was before the last jump."""
        back = self._trail.way_back()
        if back is not None:
            back()
            return
        listing = self._state.listing
        while self._left:
            feature = self._left.pop()
            found = (listing.order == feature).nonzero()[0]
            if len(found) and feature != listing.feature:
                self._at = None
                listing.go(int(found[0]))
                return
        self._state.host.tell("what you jumped from is not in the list now")
