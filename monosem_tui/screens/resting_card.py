"""The card of the feature under a cursor, read in a thread once the cursor rests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.timer import Timer

from monosem_tui.model.feature_card import FeatureCard, read_card
from monosem_tui.model.feature_explanations import explained
from monosem_tui.model.open_run import OpenRun
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.output_files import unreadable
from store.files.errors import MonosemError


class RestingCard:
    """Keeps the card that was read last, until the next one is there."""

    def __init__(
        self, host: MonosemScreen, run: OpenRun, wanted: Callable[[], int | None], show: Callable[[], object]
    ) -> None:
        """Prepare.

        Args:
            host: the screen.
            run: what is read.
            wanted: returns the feature whose card is to be shown; None for none.
            show: called when `card` has changed.
        """
        self._host, self._run, self._wanted, self._show = host, run, wanted, show
        self._timer: Timer | None = None
        self.card: FeatureCard | None = None

    def follow(self) -> None:
        """Read once the cursor rests."""
        self.stop()
        self._timer = self._host.set_timer(self._host.session.tuning.rest, self.read)

    def stop(self) -> None:
        """Read nothing any more."""
        if self._timer is not None:
            self._timer.stop()

    def read(self) -> None:
        """Read the card that is wanted, unless it is there."""
        feature = self._wanted()
        if feature is None or (self.card is not None and self.card.feature == feature):
            return
        take = partial(self._take, feature)
        self._host.away(lambda: self._read(feature), take, "card", fail=take)

    def reread(self) -> None:
        """Read it even if it is there: notes may have been taken on another screen."""
        self.card = None
        self.read()

    def _read(self, feature: int) -> FeatureCard:
        """Read a card; runs in a thread."""
        try:
            return explained(read_card(self._run.store, self._run.notes, feature), self._run)
        except MonosemError:
            raise
        except Exception as error:  # numbers from a file that was written over may break anything
            raise unreadable(error) from error

    def _take(self, feature: int, found: FeatureCard | MonosemError) -> None:
        if feature != self._wanted():
            return
        if isinstance(found, MonosemError):
            self.card = None
            self._host.mention(found)
            return
        self.card = found
        self._show()
