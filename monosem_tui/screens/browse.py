"""The first screen: the feature list and the page of the feature under its cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.draw.heat import Rendering
from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.command_line import Command, FilterBy, GoTo, GoToSaid, ShowDead, SortBy
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.session_state import BrowseMemory, Memory
from monosem_tui.model.store_follower import Follower
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.catalogue import Selection
from monosem_tui.screens.feature.layout import PANES, PaneName
from monosem_tui.screens.feature.pane import FeaturePane
from monosem_tui.screens.list_order import ListOrder
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.session import Session
from monosem_tui.widgets.feature_list import FeatureList
from store.files.errors import MonosemError


class BrowseScreen(MonosemScreen):
    """All features of a run, or those that a filter or another screen has chosen."""

    VIEW, PLACE = "browse", Where.BROWSE

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        run = session.opened
        self.pane = FeaturePane(
            self,
            run,
            FeatureList(run, session.palette),
            open_listed=lambda: self.pane.bring("page"),
            outside=lambda feature: self.order.catalogue.without(feature),
        )
        self.order = ListOrder(self, self.pane, session.memory.browse)
        self.growth = IndexGrowth(self, self.pane, self.order)
        self.parts = (self.pane.ngrams, *self.pane.on_page, self.order, *self.pane.parts, self.growth)
        self._recall(session.memory.browse)

    def body(self) -> Iterable[Widget]:
        """The two panes, and the n-grams below them."""
        yield self.pane
        yield self.pane.ngrams.panel

    def on_mount(self) -> None:
        """Fill the list."""
        self.order.show(self.session.memory.browse.feature)

    # From one session to the next

    def _recall(self, kept: BrowseMemory) -> None:
        """Begin where the last session ended."""
        state = self.pane.state
        front: PaneName = "page" if kept.front == "page" and kept.feature is not None else "list"
        zoomed = next((pane for pane in PANES if pane == kept.zoomed), None)
        state.panes = replace(state.panes, front=front, zoomed=zoomed, wider=kept.wider)
        state.page.log_counts = kept.log_counts
        for rendering in Rendering:
            if rendering.value == kept.rendering:
                state.page.rendering, self.pane.reader.rendering_chosen = rendering, True

    def remembered(self, memory: Memory) -> Memory:
        """Keep where the cursor is, how the list is ordered and how it looks."""
        ordering, state = self.order.ordering, self.pane.state
        kept = BrowseMemory(
            feature=state.listed,
            sort=ordering.sort,
            descending=ordering.descending,
            dead=ordering.dead,
            text=ordering.text,
            front=state.panes.front,
            zoomed=state.panes.zoomed or "",
            wider=state.panes.wider,
            rendering=state.page.rendering.value if self.pane.reader.rendering_chosen else "",
            log_counts=state.page.log_counts,
        )
        return replace(super().remembered(memory), browse=kept)

    def on_feature_list_head_clicked(self, message: FeatureList.HeadClicked) -> None:
        """Sort by the clicked column."""
        self.order.sort_by(message.key)

    # Requests of other screens

    def choose(self, selection: Selection, feature: int | None = None, *, page: bool = False) -> None:
        """Show some features only, and perhaps the page of one; escape goes back to where they were chosen."""
        self.order.choose(selection, feature, page=page)

    def visit(self, feature: int) -> None:
        """Show a feature's page."""
        with self.mentioning():
            self.order.go_to(feature)
            self.pane.action_open()

    def open_document(self, place: int) -> None:
        """Show the document that holds a place of the corpus, coloured by the feature under the cursor."""
        feature = self.pane.state.listed
        if feature is None:
            self.tell(Need.FEATURES.value)
        else:
            self.pane.bring("page")
            self.pane.documents.open(self.pane.state.feature or feature, place)

    def obey(self, command: Command) -> None:
        """Do what was typed after `:`."""
        order = self.order
        if isinstance(command, GoTo):
            order.go_to(command.feature)
        elif isinstance(command, GoToSaid):
            order.go_to_said(command.text)
        elif isinstance(command, SortBy):
            order.sort(replace(order.ordering, sort=command.key, descending=command.descending, ranked=False))
        elif isinstance(command, FilterBy):
            self.pane.front("list")
            order.filter_at_once(command.text)
            if order.catalogue.problem is not None:
                raise order.catalogue.problem
        elif isinstance(command, ShowDead) and not order.catalogue.n_dead:
            self.tell(Need.DEAD.value)
        elif isinstance(command, ShowDead):
            order.action_dead()
        else:
            super().obey(command)


class IndexGrowth(ScreenPart):
    """Shows the new numbers of an index that grows; order, filter and what the cursor is on stay."""

    def __init__(self, host: MonosemScreen, pane: FeaturePane, order: ListOrder) -> None:
        self._host, self._pane, self._order = host, pane, order
        self._follower = Follower(pane.state.run)
        self._looks: Timer | None = None

    def started(self) -> None:
        """Begin to look, if more may come."""
        if not self._follower.over:
            self._looks = self._host.set_interval(self._host.session.tuning.index, self.look)

    def look(self) -> None:
        """See in a thread whether the index has grown."""
        self._host.away(self._follower.look, self._take, fail=self._fail)

    def _fail(self, error: MonosemError) -> None:
        self.ended()
        self._host.mention(error)

    def ended(self) -> None:
        """Look no more."""
        if self._looks is not None:
            self._looks.stop()

    def _take(self, run: OpenRun | None) -> None:
        if run is None:
            return
        if self._follower.over:
            self.ended()
        state, features = self._pane.state, self._pane.state.listing
        feature, row, first = features.feature, features.cursor, features.first
        state.run = self._host.session.run = run
        self._host.draw_header(self._host.size.width)
        self._order.take_run(run)
        if features.feature != feature:
            features.go(row)
        features.jump(features.cursor - (row - first))
        if state.page.card is not None and state.page.card.feature in (feature, state.feature):
            self._pane.reader.reread()
