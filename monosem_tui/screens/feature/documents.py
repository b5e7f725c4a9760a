"""The document of an example, in place of the page: opened, read further as one scrolls, and closed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.keys.actions import Need
from monosem_tui.model.feature_card import feature_name
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import DocumentWanted

if TYPE_CHECKING:
    from monosem_tui.model.document import Stretch, Whole


class OpenedDocument(NamedTuple):
    """A document as it is first shown."""

    whole: Whole
    stretch: Stretch
    fires_N: NDArray[np.int64]
    """Corpus places at which the feature fires, ascending."""
    title: str


class DocumentReader(ScreenPart):
    """Reads documents in threads."""

    def __init__(self, state: PaneState, show: Callable[[bool], object]) -> None:
        """Prepare to read.

        Args:
            state: what the pane is about.
            show: puts the document in place of the page, or the page back.
        """
        self._state, self._host, self._show = state, state.host, show

    def open(self, feature: int, place: int) -> None:
        """Open the document that holds a place of the corpus, coloured by a feature."""
        from monosem_tui.model.document import find_whole, firing_places, stretch_around

        run, cuts = self._state.run, self._host.session.tuning.cuts

        def read() -> OpenedDocument:
            whole = find_whole(run.store, feature, place)
            name = feature_name(run.store, run.notes, feature)
            stretch, fires_N = stretch_around(run.store, whole, place, cuts), firing_places(run.store, whole)
            return OpenedDocument(whole, stretch, fires_N, f"{feature}  {name}")

        self._host.away(read, self._take_document, "document")

    def _take_document(self, found: OpenedDocument) -> None:
        state = self._state
        if state.reading and found.whole.feature == state.feature:
            state.document.rendering = state.page.rendering
            self._show(True)
            state.document.show(found.whole, found.title, found.stretch, found.fires_N)
            self._host.retell()

    def read_around(self, place: int) -> None:
        """Read the text around a place of the open document, far from what has been read."""
        from monosem_tui.model.document import stretch_around

        document, store, cuts = self._state.document, self._state.run.store, self._host.session.tuning.cuts
        if (whole := document.whole) is not None:
            take = partial(document.show_around, whole)
            self._host.away(lambda: stretch_around(store, whole, place, cuts), take, "document")

    def read_on(self, place: int, *, before: bool) -> None:
        """Read the text before or after a place of the open document."""
        from monosem_tui.model.document import stretch_before, stretch_from

        document, store, cuts = self._state.document, self._state.run.store, self._host.session.tuning.cuts
        if (whole := document.whole) is not None:
            read = stretch_before if before else stretch_from
            self._host.away(lambda: read(store, whole, place, cuts), lambda found: document.add(whole, found))

    def way_back(self) -> Way | None:
        """Close the document."""
        return (lambda: self._show(False)) if self._state.reading and self._state.in_document else None

    def cover(self) -> Way | None:
        """Close the document."""
        return self.way_back()

    def action_inspect(self) -> None:
        """Show the open document, or that of the chosen example, through all features in Live."""
        document, stop, card = self._state.document, self._state.page.stop, self._state.page.card
        if self._state.in_document and self._state.reading and document.whole is not None:
            self._host.post_message(DocumentWanted(document.place, document.whole.feature))
        elif card is not None and stop is not None and stop.key.place is not None:
            self._host.post_message(DocumentWanted(stop.key.place, card.feature))
        else:
            self._host.tell(Need.CHOSEN.value)
