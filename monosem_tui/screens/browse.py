"""The first screen: the feature list and the page of the feature under its cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textual import events, work
from textual.containers import Horizontal
from textual.widget import Widget

from monosem_tui.actions import Action, Need, Where
from monosem_tui.memory import BrowseMemory, Memory
from monosem_tui.screens.firing import FiringScreen
from monosem_tui.screens.ordering import Catalogue, Ordering, Selection
from monosem_tui.screens.panes import PANES, Pane, Panes
from monosem_tui.screens.reading import ReadingScreen
from monosem_tui.screens.session import Session, ViewWanted
from monosem_tui.text.commands import Command, FilterBy, GoTo, ShowDead, SortBy
from monosem_tui.text.heat import Rendering
from monosem_tui.text.numbers import count
from monosem_tui.watch import EVERY, Follower, Grown
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.filter_input import Kind, Typed
from monosem_tui.widgets.keys import bindings
from store.errors import MonosemError
from store.query import SORT_KEYS, SortKey


class BrowseScreen(FiringScreen, ReadingScreen):
    """List left and page right; below 110 cells one of them at a time."""

    VIEW, PLACE = "browse", Where.BROWSE
    BINDINGS = bindings(Where.BROWSE)
    CSS = "#panes { height: 1fr; }"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.catalogue = Catalogue(self.run)
        self.panes = Panes()
        self._visiting = False
        """Whether one feature was opened from another screen, to which escape goes back."""
        self._recall(session.memory.browse)
        self.features = FeatureList(self.run, session.palette)

    def body(self) -> Iterable[Widget]:
        """The two panes."""
        yield Horizontal(self.features, self.page, self.document, id="panes")
        yield self.fires

    def on_mount(self) -> None:
        """Fill the list, and see whether the index grows."""
        self._show_list(self.session.memory.browse.feature)
        self._follower = Follower(self.run)
        if not self._follower.over:
            self._looks = self.set_interval(EVERY, self._look)

    def on_resize(self, event: events.Resize) -> None:
        """Choose between one and two panes. A page that comes into sight is read once the list is on the screen."""
        super().on_resize(event)
        self._show_panes(replace(self.panes, width=event.size.width))
        self.call_after_refresh(self.read_page)

    @property
    def listed(self) -> int | None:
        """The feature under the cursor."""
        return self.features.feature

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

    def put_cursor(self, feature: int) -> None:
        """Put the cursor on a feature, if the list has it."""
        found = (self.features.order == feature).nonzero()[0]
        if len(found):
            self.features.go(int(found[0]))

    def outside(self, feature: int) -> str:
        """Why the list does not have a feature; empty where it has."""
        return self.catalogue.without(feature)

    def show_document(self, shown: bool) -> None:
        """Show a document in place of the page, or the page again."""
        self.in_document = shown
        self._show_panes(self.panes)
        self.read_page()

    # From one sitting to the next

    def _recall(self, kept: BrowseMemory) -> None:
        """Begin where the last sitting ended, as far as that is still possible."""
        front: Pane = "page" if kept.front == "page" and kept.feature is not None else "list"
        zoomed = next((pane for pane in PANES if pane == kept.zoomed), None)
        self.panes = replace(self.panes, front=front, zoomed=zoomed, wider=kept.wider)
        self.page.log_counts = kept.log_counts
        for rendering in Rendering:
            if rendering.value == kept.rendering:
                self.page.rendering, self.rendering_chosen = rendering, True
        sort: SortKey = next((key for key in SORT_KEYS if key == kept.sort), "max")
        ordering = Ordering(sort=sort, descending=kept.descending, dead=kept.dead, text=kept.text)
        try:
            self.catalogue.order(ordering)
        except MonosemError:
            self.catalogue.order(replace(ordering, text=""))

    def remembered(self, memory: Memory) -> Memory:
        """Where the cursor is, how the list is ordered and how it looks."""
        ordering, panes = self.catalogue.ordering, self.panes
        kept = BrowseMemory(
            feature=self.listed,
            sort=ordering.sort,
            descending=ordering.descending,
            dead=ordering.dead,
            text=ordering.text,
            front=panes.front,
            zoomed=panes.zoomed or "",
            wider=panes.wider,
            rendering=self.page.rendering.value if self.rendering_chosen else "",
            log_counts=self.page.log_counts,
        )
        return replace(super().remembered(memory), browse=kept)

    # What is on the screen

    def _show_panes(self, panes: Panes) -> None:
        self.panes = panes
        self.features.display, page = panes.shows("list"), panes.shows("page")
        self.page.display, self.document.display = page and not self.in_document, page and self.in_document
        self.features.styles.width = panes.list_width if panes.split else "1fr"
        self.page.beside = self.document.beside = panes.split
        self.features.active = not self.reading
        self.page.active = self.document.active = self.reading
        self.document.refresh()
        self.set_focus(self.features if not self.reading else self.document if self.in_document else self.page)
        self.retell()

    def _show_list(self, feature: int | None) -> None:
        """Show what the catalogue holds, the cursor on `feature` if it is there."""
        catalogue = self.catalogue
        self.features.rearrange(
            catalogue.ids,
            title=catalogue.title(),
            empty=catalogue.nothing(),
            sort=catalogue.sorted_by,
            descending=catalogue.ordering.descending,
            feature=feature,
        )
        self.tell()

    def tell(self, said: str = "", right: str = "") -> None:
        """Renew the bottom line; while a filter is typed it says how many features it leaves."""
        if self.typing and self.input.kind == "/":
            right = "unfinished" if self.catalogue.problem else f"{count(len(self.features.order))} found"
        super().tell(said, right)

    def position(self) -> str:
        """Where the cursor is, or which lines of the page are on the screen."""
        if self.here is Where.DOCUMENT and self.document.whole is not None:
            whole, (first, last) = self.document.whole, self.document.places
            return f"tokens {count(first + 1)}–{count(last)} of {count(whole.stop - whole.start)}"
        if self.panes.front == "page":
            last = min(self.page.rows, self.page.first + self.page.room)
            return f"lines {self.page.first + 1}–{last} of {self.page.rows}"
        n = len(self.features.order)
        return f"{count(self.features.cursor + 1)} of {count(n)}" if n else "0 of 0"

    def worth_a_hint(self, action: Action) -> bool:
        """Whether its key does what one would look for here."""
        if action.id in ("browse.heat", "browse.log"):
            return self.panes.shows("page") and not (self.in_document and action.id == "browse.log")
        if action.id == "browse.next":
            return self.here is Where.PAGE
        if action.id in ("browse.sort", "browse.dead", "browse.filter", "goto"):
            return self.panes.front == "list"
        return True

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.ROOM:
            return not self.panes.wide
        if need is Need.FEATURES:
            return not len(self.features.order)
        if need is Need.DEAD:
            return not self.catalogue.n_dead
        return super().lacks(need)

    def notes_changed(self) -> None:
        """Draw rows whose notes have changed."""
        self.features.renote()

    # The list

    def _order(self, ordering: Ordering, feature: int | None) -> None:
        try:
            self.catalogue.order(ordering)
        except MonosemError as error:
            self.page.complain(error)
            self.tell(error.what)
        else:
            self._show_list(feature)

    def _filter(self, text: str) -> None:
        self._order(replace(self.catalogue.ordering, text=text), self.features.feature)

    def choose(self, selection: Selection, feature: int | None = None) -> None:
        """Show some features only, the list in front or the page of one; escape goes back to where they were chosen."""
        ordering = replace(self.catalogue.ordering, text="", only=selection, ranked=selection.ranked)
        self._visiting = feature is not None
        self._order(ordering, feature)
        self._show_panes(replace(self.panes, front="page" if self._visiting else "list", zoomed=None))
        self.read_page()

    def obey(self, command: Command) -> None:
        """Do what was typed behind `:`."""
        ordering = self.catalogue.ordering
        if isinstance(command, GoTo):
            self._go_to(command.feature)
        elif isinstance(command, SortBy):
            wanted = replace(ordering, sort=command.key, descending=command.descending, ranked=False)
            self._order(wanted, self.features.feature)
        elif isinstance(command, FilterBy):
            self._show_panes(replace(self.panes, front="list"))
            self._filter(command.text)
            if self.catalogue.problem:
                self.tell(self.catalogue.problem.what)
        elif isinstance(command, ShowDead):
            if self.catalogue.n_dead:
                self.action_dead()
            else:
                self.tell(Need.DEAD.value)
        else:
            super().obey(command)

    def visit(self, feature: int) -> None:
        """Show a feature's page."""
        self._go_to(feature)
        self.action_open()

    def action_sort(self) -> None:
        """By the next column; the cursor stays with its feature."""
        self._order(self.catalogue.ordering.next_sort(), self.features.feature)

    def action_reverse(self) -> None:
        """The other way round."""
        ordering = self.catalogue.ordering
        self._order(replace(ordering, descending=not ordering.descending, ranked=False), self.features.feature)

    def action_dead(self) -> None:
        """Show or hide dead features."""
        ordering = self.catalogue.ordering
        self._order(replace(ordering, dead=not ordering.dead), self.features.feature)
        self.tell(f"{count(self.catalogue.n_dead)} dead features {'hidden' if ordering.dead else 'shown'}")

    def action_step(self, rows: int) -> None:
        """Another feature, from anywhere."""
        self.features.go(self.features.cursor + rows)

    # An index that grows

    @work(thread=True, group="watch", exit_on_error=False)
    def _look(self) -> None:
        if found := self._follower.look():
            self.post_message(found)

    def on_grown(self, message: Grown) -> None:
        """Show the new numbers; order, filter and what the cursor is on stay."""
        if isinstance(message.run, MonosemError) or self._follower.over:
            self._looks.stop()
        if isinstance(message.run, MonosemError):
            self.tell(message.run.what)
            return
        feature, row, first = self.features.feature, self.features.cursor, self.features.first
        ordering, self.run = self.catalogue.ordering, message.run
        self.session.run = self.run
        self.catalogue = Catalogue(self.run)
        self.features.renew(self.run)
        self.draw_header(self.size.width)
        self._order(ordering, feature)
        if self.features.feature != feature:
            self.features.go(row)
        self.features.jump(self.features.cursor - (row - first))
        if self.page.card is not None and self.page.card.feature in (feature, self.feature):
            self.reread()

    # Typing

    def action_filter(self) -> None:
        """Type a filter."""
        self._type("/", self.catalogue.ordering.text)

    def _type(self, kind: Kind, text: str) -> None:
        self._show_panes(replace(self.panes, front="list"))
        self.type_into(kind, text)

    def typed(self, what: Typed) -> None:
        """A letter of a filter, or the end of it, or of a note."""
        super().typed(what)
        kind, text = self.input.kind, self.input.text
        if what is Typed.CHANGED and kind == "/":
            self._filter(text)
        elif kind != "/":
            return
        elif what in (Typed.NEXT, Typed.PREVIOUS):
            self.action_step(1 if what is Typed.NEXT else -1)
        elif what in (Typed.KEEP, Typed.LEAVE):
            self.stop_typing()
            self._filter(text if what is Typed.KEEP else "")
            if self.catalogue.problem:
                self.tell(self.catalogue.problem.what)

    def _go_to(self, feature: int) -> None:
        """Put the cursor on a feature, showing what was filtered away if it must."""
        if feature >= self.run.store.d_sae:
            self.tell(f"there is no feature {feature}: they are 0 to {self.run.store.d_sae - 1}")
            return
        opened = []
        ordering = self.catalogue.ordering
        if (ordering.text or ordering.only) and feature not in self.catalogue.ids:
            self._order(replace(ordering, text="", only=None, ranked=False), None)
            self._visiting = False
            opened.append("filter cleared")
        if feature not in self.catalogue.ids:
            self._order(replace(self.catalogue.ordering, dead=True), None)
            opened.append("dead features shown")
        self._show_list(feature)
        self.tell(", ".join(opened))

    # The page

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
        if self.panes.front == "page":
            self.retell()

    def action_open(self) -> None:
        """Go to the page."""
        self._show_panes(replace(self.panes, front="page"))
        if self.page.card is None or self.page.card.feature != self.feature:
            self.page.say()
        self.read_page()

    # Panes

    def action_switch(self) -> None:
        """To the other pane."""
        if self.panes.front == "page":
            self._show_panes(replace(self.panes, front="list"))
            self.read_page()
        else:
            self.action_open()

    def action_zoom(self) -> None:
        """One pane alone, or both again."""
        self._show_panes(self.panes.zoom())
        self.read_page()

    def action_widen(self, cells: int) -> None:
        """Move the wall between the panes."""
        self._show_panes(replace(self.panes, zoomed=None).widen(cells))
        self.read_page()

    @property
    def can_go_back(self) -> bool:
        """Whether a page, a zoom or a filter is open."""
        ordering = self.catalogue.ordering
        return self.can_unwind or self.panes.can_go_back or bool(ordering.text or ordering.only)

    def go_back(self) -> None:
        """Undo the last: a document, a feature followed, a page, a zoom, a filter, a set chosen on another screen."""
        ordering = self.catalogue.ordering
        if self.can_unwind:
            self.unwind()
        elif self._visiting:
            self._visiting = False
            self._show_panes(replace(self.panes, front="list"))
            self._leave_selection(ordering)
        elif self.panes.can_go_back:
            self._show_panes(self.panes.back())
            self.read_page()
        elif ordering.text:
            self._filter("")
        elif ordering.only:
            self._leave_selection(ordering)

    def _leave_selection(self, ordering: Ordering) -> None:
        self._order(replace(ordering, text="", only=None, ranked=False), self.features.feature)
        if ordering.only:
            self.post_message(ViewWanted(ordering.only.origin))
