"""The card of the feature nearest to the crosshair: its page beside the picture, or a few lines below it."""

from __future__ import annotations

from functools import partial

from textual.timer import Timer

from monosem_tui.model.feature_card import FeatureCard, read_card
from monosem_tui.model.feature_explanations import explained
from monosem_tui.pages.map_card import card_lines
from monosem_tui.screens.map.state import BESIDE, LEAST_PAGE, LEAST_ROWS, MapState
from monosem_tui.screens.output_files import unreadable
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.session import FeatureWanted
from store.files.errors import MonosemError


class MapCard(ScreenPart):
    """Follows the crosshair once it rests."""

    def __init__(self, state: MapState) -> None:
        self._state, self._host = state, state.host
        self._timer: Timer | None = None
        self._card: FeatureCard | None = None
        self.zoomed = False
        """Whether the picture has the whole screen."""

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
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._host.set_timer(self._host.session.tuning.rest, self.read)

    def read(self) -> None:
        """Read the card of the nearest feature, if it can be seen."""
        feature = self._state.marks.nearest
        if feature is None or self.zoomed or (self._card is not None and self._card.feature == feature):
            return
        take = partial(self._take, feature)
        self._host.away(lambda: self._read(feature), take, "card", fail=take)

    def _read(self, feature: int) -> FeatureCard:
        """Read a card; runs in a thread."""
        run = self._state.run
        try:
            return explained(read_card(run.store, run.notes, feature), run)
        except MonosemError:
            raise
        except Exception as error:  # numbers from a file that was written over may break anything
            raise unreadable(error) from error

    def _take(self, feature: int, found: FeatureCard | MonosemError) -> None:
        if feature != self._state.marks.nearest:
            return
        if isinstance(found, MonosemError):
            self._card = None
            self._host.mention(found)
            return
        self._card = found
        self.show()

    def show(self) -> None:
        """Show the card where it has its place."""
        state = self._state
        if self._card is None:
            return
        if state.page.display:
            state.page.show(self._card)
        if state.strip.display:
            state.strip.show(card_lines(self._card, self._host.size.width, state.page.rendering))

    def resumed(self) -> None:
        """Notes may have been taken on another screen."""
        self._card = None
        self.read()

    def suspended(self) -> None:
        """Read nothing while another screen is shown."""
        if self._timer is not None:
            self._timer.stop()

    # Keys

    def action_open(self) -> None:
        """Open the feature in Browse."""
        if (feature := self._state.marks.nearest) is not None:
            self._host.post_message(FeatureWanted(feature))

    def action_zoom(self) -> None:
        """Give the picture the whole screen, or show the card again."""
        self.zoomed = not self.zoomed
        self.resized(self._host.size.width)
        self.read()

    def action_clamp(self) -> None:
        """Put the feature into Live's tray."""
        feature = self._state.marks.nearest
        if feature is not None:
            with self._host.mentioning():
                self._host.tell(f"{self._host.session.offer(feature)} · 3 Live")
