"""A screen of two panes, a list of features and the page of the one under its cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textual import events
from textual.containers import Horizontal
from textual.widget import Widget

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.screens.ngrams_panel import FiringScreen
from monosem_tui.screens.panes import Pane, Panes
from monosem_tui.screens.reading_trail import ReadingScreen
from monosem_tui.screens.session import Session
from monosem_tui.widgets.feature_list import FeatureList


class TwoPaneScreen(FiringScreen, ReadingScreen):
    """List left and page right; below 110 cells one of them at a time."""

    CSS = "#panes { height: 1fr; }"

    def __init__(self, session: Session, wider: int = 0) -> None:
        """Prepare the panes.

        Args:
            session: what all screens share.
            wider: cells that the list has beyond its usual width.
        """
        super().__init__(session)
        self.panes = Panes(wider=wider)

    @property
    def listing(self) -> FeatureList:
        """The list."""
        raise NotImplementedError

    def body(self) -> Iterable[Widget]:
        """The two panes, and what a feature fires on below them."""
        yield Horizontal(self.listing, self.page, self.document, id="panes")
        yield self.fires

    def on_mount(self) -> None:
        """Keys go to a pane from the first on."""
        self.show_panes(replace(self.panes, width=self.app.size.width))

    def on_resize(self, event: events.Resize) -> None:
        """Choose between one and two panes. A page that comes into sight is read once the list is on the screen."""
        self.show_panes(replace(self.panes, width=event.size.width))
        self.call_after_refresh(self.read_page)

    # What has the keys

    @property
    def listed(self) -> int | None:
        """The feature under the cursor."""
        return self.listing.feature

    @property
    def reading(self) -> bool:
        """Whether the page, or a document in its place, has the keys."""
        return self.panes.front == "page"

    @property
    def here(self) -> Where:
        """The pane with the keys."""
        if self.panes.front == "list":
            return Where.LIST
        return Where.DOCUMENT if self.in_document else Where.PAGE

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.ROOM:
            return not self.panes.wide
        if need is Need.FEATURES:
            return not len(self.listing.order)
        return super().lacks(need)

    def worth_a_hint(self, action: Action) -> bool:
        """Whether its key does what one would look for here."""
        name = action.id.partition(".")[2] if action.where is self.PLACE else ""
        if name == "heat":
            return self.panes.shows("page")
        if name == "log":
            return self.panes.shows("page") and not self.in_document
        return self.here is Where.PAGE if name == "next" else True

    # What is on the screen

    def show_panes(self, panes: Panes) -> None:
        """Put them on the screen, and the keys into the one in front."""
        self.panes, listing = panes, self.listing
        listing.display, page = panes.shows("list"), panes.shows("page")
        self.page.display, self.document.display = page and not self.in_document, page and self.in_document
        listing.styles.width = panes.list_width if panes.split else "1fr"
        self.page.beside = self.document.beside = panes.split
        listing.active = not self.reading
        self.page.active = self.document.active = self.reading
        self.document.refresh()
        self.set_focus(listing if not self.reading else self.document if self.in_document else self.page)
        self.retell()

    def bring(self, pane: Pane) -> None:
        """Give a pane the keys. A page of another feature is not shown while the right one is read."""
        self.show_panes(replace(self.panes, front=pane))
        if self.reading and (self.page.card is None or self.page.card.feature != self.feature):
            self.page.say()
        self.read_page()

    def show_document(self, shown: bool) -> None:
        """Show a document in place of the page, or the page again."""
        self.in_document = shown
        self.show_panes(self.panes)
        self.read_page()

    def position(self) -> str:
        """Where the cursor is, or which lines of the page are on the screen."""
        if self.here is Where.DOCUMENT and self.document.whole is not None:
            whole, (first, last) = self.document.whole, self.document.places
            return f"tokens {count(first + 1)}–{count(last)} of {count(whole.stop - whole.start)}"
        if self.reading:
            last = min(self.page.rows, self.page.first + self.page.room)
            return f"lines {self.page.first + 1}–{last} of {self.page.rows}"
        n = len(self.listing.order)
        return f"{count(self.listing.cursor + 1)} of {count(n)}" if n else ""

    def notes_changed(self) -> None:
        """Draw rows whose notes have changed."""
        self.listing.renote()

    # The list

    def put_cursor(self, feature: int) -> None:
        """Put the cursor on a feature, if the list has it."""
        found = (self.listing.order == feature).nonzero()[0]
        if len(found):
            self.listing.go(int(found[0]))

    def on_feature_list_highlighted(self) -> None:
        """The page follows once the cursor rests."""
        if self.in_document and self.document.whole and self.document.whole.feature != self.feature:
            self.show_document(False)
        self.retell()
        self.follow()

    def on_feature_list_opened(self) -> None:
        """A row was clicked twice."""
        self.action_open()

    def on_feature_page_moved(self) -> None:
        """The bottom line says which lines are on the screen."""
        if self.reading:
            self.retell()

    def action_step(self, rows: int) -> None:
        """Another feature, from anywhere."""
        self.listing.go(self.listing.cursor + rows)

    def action_open(self) -> None:
        """Go to the page."""
        self.bring("page")

    # Panes

    def action_switch(self) -> None:
        """To the other pane."""
        self.bring("list" if self.reading else "page")

    def action_zoom(self) -> None:
        """One pane alone, or both again."""
        self.show_panes(self.panes.zoom())
        self.read_page()

    def action_widen(self, cells: int) -> None:
        """Move the wall between the panes."""
        self.show_panes(replace(self.panes, zoomed=None).widen(cells))
        self.read_page()

    @property
    def can_go_back(self) -> bool:
        """Whether a document, a feature followed, a page or a zoom is open."""
        return self.can_unwind or self.panes.can_go_back

    def go_back(self) -> None:
        """Undo the last of these."""
        if self.can_unwind:
            self.unwind()
        elif self.panes.can_go_back:
            self.show_panes(self.panes.back())
            self.read_page()
        else:
            super().go_back()
