"""The first screen: the feature list and the page of the feature under its cursor."""

from __future__ import annotations

from dataclasses import replace

from textual import work

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.model.command_line import Command, FilterBy, GoTo, ShowDead, SortBy
from monosem_tui.model.session_state import BrowseMemory, Memory
from monosem_tui.model.store_follower import EVERY, Follower, Grown
from monosem_tui.screens.feature_order import Catalogue, Ordering, Selection
from monosem_tui.screens.panes import PANES, Pane
from monosem_tui.screens.session import Session, ViewWanted
from monosem_tui.screens.two_panes import TwoPaneScreen
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.filter_input import Kind, Typed
from monosem_tui.widgets.keys import bindings
from store.files.errors import MonosemError
from store.query.feature_order import SORT_KEYS, SortKey


class BrowseScreen(TwoPaneScreen):
    """All features of a run, or those that a filter or another screen has chosen."""

    VIEW, PLACE = "browse", Where.BROWSE
    BINDINGS = bindings(Where.BROWSE)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.catalogue = Catalogue(self.run)
        self._visiting = False
        """Whether one feature was opened from another screen, to which escape goes back."""
        self._recall(session.memory.browse)
        self.features = FeatureList(self.run, session.palette)

    def on_mount(self) -> None:
        """Fill the list, and see whether the index grows."""
        self._show_list(self.session.memory.browse.feature)
        self._follower = Follower(self.run)
        if not self._follower.over:
            self._looks = self.set_interval(EVERY, self._look)

    @property
    def listing(self) -> FeatureList:
        """All features, or some."""
        return self.features

    def outside(self, feature: int) -> str:
        """Why the list does not have a feature; empty where it has."""
        return self.catalogue.without(feature)

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

    def worth_a_hint(self, action: Action) -> bool:
        """Whether its key does what one would look for here."""
        if action.id in ("browse.sort", "browse.dead", "browse.filter", "goto"):
            return not self.reading
        return super().worth_a_hint(action)

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        return not self.catalogue.n_dead if need is Need.DEAD else super().lacks(need)

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

    def choose(self, selection: Selection, feature: int | None = None, *, page: bool = False) -> None:
        """Show some features only, and perhaps the page of one; escape goes back to where they were chosen."""
        ordering = replace(self.catalogue.ordering, text="", only=selection, ranked=selection.ranked)
        self._visiting = page
        self._order(ordering, feature)
        self.show_panes(replace(self.panes, front="page" if page else "list", zoomed=None))
        self.read_page()

    def obey(self, command: Command) -> None:
        """Do what was typed behind `:`."""
        ordering = self.catalogue.ordering
        if isinstance(command, GoTo):
            self._go_to(command.feature)
        elif isinstance(command, SortBy):
            wanted = replace(ordering, sort=command.key, descending=command.descending, ranked=False)
            self._sort(wanted)
        elif isinstance(command, FilterBy):
            self.show_panes(replace(self.panes, front="list"))
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
        """By the next column."""
        self._sort(self.catalogue.ordering.next_sort())

    def action_reverse(self) -> None:
        """The other way round."""
        ordering = self.catalogue.ordering
        self._sort(replace(ordering, descending=not ordering.descending, ranked=False))

    def _sort(self, ordering: Ordering) -> None:
        """The cursor stays with its feature; at the top it stays there, to what is first now."""
        self._order(ordering, self.features.feature if self.features.cursor else None)

    def action_dead(self) -> None:
        """Show or hide dead features."""
        ordering = self.catalogue.ordering
        self._order(replace(ordering, dead=not ordering.dead), self.features.feature)
        self.tell(f"{count(self.catalogue.n_dead)} dead features {'hidden' if ordering.dead else 'shown'}")

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
        self.show_panes(replace(self.panes, front="list"))
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

    # Back

    @property
    def can_go_back(self) -> bool:
        """Whether a page, a zoom or a filter is open."""
        ordering = self.catalogue.ordering
        return super().can_go_back or bool(ordering.text or ordering.only)

    def go_back(self) -> None:
        """Undo the last: a document, a feature followed, a page, a zoom, a filter, a set chosen on another screen."""
        ordering = self.catalogue.ordering
        if self._visiting and not self.can_unwind:
            self._visiting = False
            self.show_panes(replace(self.panes, front="list"))
            self._leave_selection(ordering)
        elif super().can_go_back:
            super().go_back()
        elif ordering.text:
            self._filter("")
        elif ordering.only:
            self._leave_selection(ordering)

    def _leave_selection(self, ordering: Ordering) -> None:
        self._order(replace(ordering, text="", only=None, ranked=False), self.features.feature)
        if ordering.only:
            self.post_message(ViewWanted(ordering.only.origin))
