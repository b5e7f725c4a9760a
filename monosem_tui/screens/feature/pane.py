"""The feature pane: a list, the page of the feature under its cursor or a document, and who of them has the keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual.app import ComposeResult
from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.open_run import OpenRun
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.feature.documents import DocumentReader
from monosem_tui.screens.feature.examples import ExampleControls
from monosem_tui.screens.feature.explanations import ExplanationControl
from monosem_tui.screens.feature.jumps import FeatureJumps
from monosem_tui.screens.feature.layout import PaneName, Panes
from monosem_tui.screens.feature.ngrams import NgramsPanel
from monosem_tui.screens.feature.notes import NotesControl
from monosem_tui.screens.feature.page import PageReader
from monosem_tui.screens.feature.previews import PreviewReader
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.feature.trail import FeatureTrail
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.document_view import DocumentView
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.line_view import Trouble
from monosem_tui.widgets.split_pane import SplitPane


class FeaturePane(ScreenPart, SplitPane):
    """List left and page right; below 110 cells one of them at a time."""

    def __init__(
        self,
        host: MonosemScreen,
        run: OpenRun,
        listing: FeatureList,
        *,
        open_listed: Callable[[], object],
        outside: Callable[[int], str],
        wider: int = 0,
    ) -> None:
        """Compose the pane.

        Args:
            host: the screen it is on.
            run: what is open.
            listing: the list of features.
            open_listed: what enter does in the list.
            outside: why the list does not have a feature; empty where it has.
            wider: cells that the list has beyond its usual width.
        """
        super().__init__()
        self._host, self._open_listed = host, open_listed
        self._timer: Timer | None = None
        self.state = state = PaneState(host, run, listing, wider)
        self.reader = PageReader(state, self._arrived)
        self.examples = ExampleControls(state, self.reader)
        self.documents = DocumentReader(state, self.show_document)
        self.notes = NotesControl(state)
        self.trail = FeatureTrail(state, self.documents, self.read, outside, self.notes.label_as)
        self.jumps = FeatureJumps(state, self.trail)
        self.explanations = ExplanationControl(state)
        self.ngrams = NgramsPanel(state)
        self._previews = PreviewReader(state)
        self.on_page: tuple[ScreenPart, ...] = (self.documents, self.trail)
        """Parts that escape closes before the page."""
        self.parts: tuple[ScreenPart, ...] = (
            *(self, self.reader, self.examples),
            *(self.notes, self.explanations, self.jumps),
        )
        self.needs = {
            Need.ROOM: lambda: state.panes.wide,
            Need.FEATURES: lambda: len(state.listing.order) > 0,
        }

    def compose(self) -> ComposeResult:
        """List, page, and the document in the page's place."""
        yield self.state.listing
        yield self.state.page
        yield self.state.document

    def started(self) -> None:
        """Focus a pane, and from then on follow the focus."""
        self.show_panes(replace(self.state.panes, width=self.app.size.width))
        self.watch(self._host, "focused", self._follow_focus, init=False)

    def resized(self, cells: int) -> None:
        """Choose between one and two panes. A page that comes into sight is read once the list is on the screen."""
        self.show_panes(replace(self.state.panes, width=cells))
        self.call_after_refresh(self.read)

    # Focus

    @property
    def here(self) -> Where:
        """The pane with the keys."""
        if not self.state.reading:
            return Where.LIST
        return Where.DOCUMENT if self.state.in_document else Where.PAGE

    def _follow_focus(self, focused: Widget | None) -> None:
        """Send the keys to the pane with the focus, whether a key or a click moved it."""
        state = self.state
        front: PaneName = "list" if focused is state.listing else "page"
        if front != state.panes.front and focused in (state.listing, state.page, state.document):
            self.bring(front)

    def worth_a_hint(self, action: Action) -> bool:
        """Return whether its key does something useful here."""
        name = action.id.partition(".")[2] if action.where is self._host.PLACE else ""
        shown = self.state.panes.shows("page")
        if name in ("heat", "log"):
            return shown and not (name == "log" and self.state.in_document)
        return self.here is Where.PAGE if name == "next" else True

    def position(self) -> str:
        """Return the position of the cursor, or the visible lines of the page."""
        document, listing = self.state.document, self.state.listing
        if self.here is Where.DOCUMENT:
            return document.position()
        if self.state.reading:
            return self.state.page.position()
        n = len(listing.order)
        return f"{count(listing.cursor + 1)} of {count(n)}" if n else ""

    # Contents of the screen

    def show_panes(self, panes: Panes) -> None:
        """Put panes on the screen, and the keys into the one in front."""
        state = self.state
        state.panes, listing, document = panes, state.listing, state.document
        listing.display, shown = panes.shows("list"), panes.shows("page")
        state.page.display, document.display = shown and not state.in_document, shown and state.in_document
        listing.styles.width = panes.list_width if panes.split else "1fr"
        state.page.beside = document.beside = panes.split
        listing.active = not state.reading
        state.page.active = document.active = state.reading
        state.page.lay_out()
        listing.refresh()
        document.refresh()
        self._host.set_focus(listing if not state.reading else document if state.in_document else state.page)
        self._host.retell()

    def front(self, pane: PaneName) -> None:
        """Focus a pane, and leave the page as it is."""
        self.show_panes(replace(self.state.panes, front=pane))

    def bring(self, pane: PaneName) -> None:
        """Focus a pane. A page of another feature is not shown while the right one is read."""
        self.front(pane)
        card = self.state.page.card
        if self.state.reading and (card is None or card.feature != self.state.feature):
            self.state.page.say()
        self.read()

    def show_document(self, shown: bool) -> None:
        """Show a document in place of the page, or the page again."""
        self.state.in_document = shown
        self.show_panes(self.state.panes)
        self.read()

    def follow(self) -> None:
        """Read once the cursor rests."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(self._host.session.tuning.rest, self.read)

    def read(self) -> None:
        """Read page and n-grams of the feature that the pane is about, if they can be seen."""
        self.reader.read()
        self.ngrams.follow()

    def _arrived(self, card: FeatureCard) -> None:
        self.trail.arrive(card)
        self.examples.reveal()

    # Messages of the widgets

    def on_cursor_list_highlighted(self) -> None:
        """Have the page follow once the cursor rests."""
        state = self.state
        self.jumps.moved()
        if state.in_document and state.document.whole and state.document.whole.feature != state.feature:
            self.show_document(False)
        self._host.retell()
        self.follow()

    def on_feature_list_previews_wanted(self) -> None:
        """Read the examples of the rows that have come into sight."""
        self._previews.read()

    def on_cursor_list_opened(self) -> None:
        """Open the row that was clicked twice."""
        self.action_open()

    def on_scrolled_view_moved(self) -> None:
        """Show in the bottom line which lines or tokens are on the screen."""
        if self.state.reading:
            self._host.retell()

    def on_sheet_view_opened(self) -> None:
        """Open the example or feature that was clicked twice."""
        self.trail.action_follow_chosen()

    def on_document_view_more_wanted(self, message: DocumentView.MoreWanted) -> None:
        """Read on near an end of the text."""
        self.documents.read_on(message.place, before=message.before)

    def on_document_view_place_wanted(self, message: DocumentView.PlaceWanted) -> None:
        """Read around a firing token that is far from the text read so far."""
        self.documents.read_around(message.place)

    def on_document_view_ended(self, message: DocumentView.Ended) -> None:
        """Show that no token fires further on."""
        self._host.tell(message.said)

    def on_trouble(self, message: Trouble) -> None:
        """Show that the store could not be read while a line was drawn."""
        self.state.page.complain(message.error)
        self._host.mention(message.error)

    # Keys

    def action_open(self) -> None:
        """Open the feature under the cursor."""
        self._open_listed()

    def action_step(self, rows: int) -> None:
        """Go to another feature, from anywhere."""
        self.state.listing.go(self.state.listing.cursor + rows)

    def action_switch(self) -> None:
        """Go to the other pane."""
        self.bring("list" if self.state.reading else "page")

    def action_zoom(self) -> None:
        """Show one pane alone, or both again."""
        self._arrange(self.state.panes.zoom())

    def action_widen(self, cells: int) -> None:
        """Move the wall between the panes."""
        self._arrange(replace(self.state.panes, zoomed=None).widen(cells))

    @property
    def wall(self) -> int | None:
        """Column of the wall between the panes."""
        return self.state.panes.list_width if self.state.panes.split else None

    def on_split_pane_wall_moved(self, message: SplitPane.WallMoved) -> None:
        """Give the list the width that the wall was dragged to."""
        panes = self.state.panes
        self._arrange(panes.widen(message.x - panes.list_width))

    def on_split_pane_wall_reset(self) -> None:
        """Give the list its usual width."""
        self._arrange(replace(self.state.panes, wider=self.state.usually_wider))

    def _arrange(self, panes: Panes) -> None:
        self.show_panes(panes)
        self.read()

    def cover(self) -> Way | None:
        """Close the page where it stands in place of the list."""
        return self.way_back() if self.state.reading and not self.state.panes.shows("list") else None

    def way_back(self) -> Way | None:
        """Close what was opened last: the page, the zoom."""
        panes = self.state.panes
        return (lambda: self._arrange(panes.back())) if panes.can_go_back else None
