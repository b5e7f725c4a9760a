"""The document of an example, in place of the page: opened, read further as one scrolls, and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monosem_tui.keys.actions import Need
from monosem_tui.model.feature_card import feature_name
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import DocumentWanted

if TYPE_CHECKING:
    from monosem_tui.model.document import Stretch, Whole


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
        from monosem_tui.model.document import find_whole, first_stretch

        run, cuts = self._state.run, self._host.session.tuning.cuts

        def read() -> tuple[Whole, Stretch, str]:
            whole = find_whole(run.store, feature, place)
            name = feature_name(run.store, run.notes, feature)
            return whole, first_stretch(run.store, whole, cuts), f"{feature}  {name}"

        self._host.away(read, self._take_document, "document")

    def _take_document(self, found: tuple[Whole, Stretch, str]) -> None:
        state, (whole, stretch, title) = self._state, found
        if state.reading and whole.feature == state.feature:
            state.document.rendering = state.page.rendering
            self._show(True)
            state.document.show(whole, title, stretch)
            self._host.retell()

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
        whole, stop, card = self._state.document.whole, self._state.page.stop, self._state.page.card
        if self._state.in_document and self._state.reading and whole is not None:
            self._host.post_message(DocumentWanted(whole.place, whole.feature))
        elif card is not None and stop is not None and stop.key.place is not None:
            self._host.post_message(DocumentWanted(stop.key.place, card.feature))
        else:
            self._host.tell(Need.CHOSEN.value)
