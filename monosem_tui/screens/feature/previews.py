"""Previews of the rows in sight: read in a thread, those in sight first, then those a screen above and below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from monosem_tui.model.snippets import UNREADABLE, Preview, read_preview
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.output_files import unreadable
from store.files.errors import MonosemError
from store.index.reader import FeatureStore

AHEAD = 1.0
"""Screens above and below of which previews are read, so that a scrolled list is drawn once, with its text."""
PIECE = 16
"""Features of one piece of work out of sight: keys wait no longer than for a few of them."""


class PreviewReader:
    """Reads what the list asks for, one piece of work at a time."""

    def __init__(self, state: PaneState) -> None:
        self._state = state
        self._busy = False

    def read(self) -> None:
        """Read the previews that rows in sight lack; where they lack none, those of rows that may come next."""
        listing = self._state.listing
        features = listing.lacking() or listing.lacking(AHEAD)[:PIECE]
        if features and not self._busy:
            self._busy = True
            store = self._state.run.store
            self._state.host.away(partial(_read, store, features), partial(self._take, store))

    def _take(self, store: FeatureStore, found: tuple[dict[int, Preview], MonosemError | None]) -> None:
        self._busy = False
        previews, error = found
        if store is self._state.run.store:
            self._state.listing.take_previews(previews)
            if error is not None:
                self._state.listing.complain_once(error)
        self.read()


def _read(store: FeatureStore, features: Sequence[int]) -> tuple[dict[int, Preview], MonosemError | None]:
    """Return the previews of some features, and what kept some of them from being read."""
    found: dict[int, Preview] = {}
    trouble: MonosemError | None = None
    for feature in features:
        try:
            found[feature] = read_preview(store, feature)
        except MonosemError as error:
            found[feature], trouble = UNREADABLE, trouble or error
        except Exception as error:  # numbers from a file that was written over may break anything
            found[feature], trouble = UNREADABLE, trouble or unreadable(error)
    return found, trouble
