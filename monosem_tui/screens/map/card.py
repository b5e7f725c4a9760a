"""The card of the feature nearest to the crosshair: its page beside the picture, or a few lines below it."""

from __future__ import annotations

from monosem_tui.pages.map_card import card_lines
from monosem_tui.screens.map.state import BESIDE, LEAST_PAGE, LEAST_ROWS, MapState
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.resting_card import RestingCard
from monosem_tui.screens.session import FeatureWanted


class MapCard(ScreenPart):
    """Follows the crosshair once it rests."""

    def __init__(self, state: MapState) -> None:
        self._state, self._host = state, state.host
        self._resting = RestingCard(state.host, state.run, lambda: self._wanted, self.show)
        self.zoomed = False
        """Whether the picture has the whole screen."""

    @property
    def _wanted(self) -> int | None:
        """The nearest feature, where its card can be seen."""
        return None if self.zoomed else self._state.marks.nearest

    def resized(self, cells: int) -> None:
        """Put the card beside the picture, below it, or nowhere."""
        state, rows = self._state, self._host.size.height
        beside = cells >= BESIDE and not self.zoomed
        state.page.display = beside
        state.strip.display = not beside and rows >= LEAST_ROWS and not self.zoomed
        state.page.styles.width = max(LEAST_PAGE, cells - 2 * (rows - 4) - 4)
        self.show()

    def follow(self) -> None:
        """Read once the crosshair rests."""
        self._resting.follow()

    def show(self) -> None:
        """Show the card where it has its place."""
        state, card = self._state, self._resting.card
        if card is None:
            return
        if state.page.display:
            state.page.show(card)
        if state.strip.display:
            state.strip.show(card_lines(card, self._host.size.width, state.page.rendering))

    def resumed(self) -> None:
        """Notes may have been taken on another screen."""
        self._resting.reread()

    def suspended(self) -> None:
        """Read nothing while another screen is shown."""
        self._resting.stop()

    # Keys

    def action_open(self) -> None:
        """Open the feature in Browse."""
        if (feature := self._state.marks.nearest) is not None:
            self._host.post_message(FeatureWanted(feature))

    def action_zoom(self) -> None:
        """Give the picture the whole screen, or show the card again."""
        self.zoomed = not self.zoomed
        self.resized(self._host.size.width)
        self._resting.read()

    def action_clamp(self) -> None:
        """Put the feature into Live's tray."""
        feature = self._state.marks.nearest
        if feature is not None:
            with self._host.mentioning():
                self._host.tell(f"{self._host.session.offer(feature)} · 3 Live")
