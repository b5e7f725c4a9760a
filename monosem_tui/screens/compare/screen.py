"""Compare: the open run's features beside those of other runs on the same text."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from monosem_tui.keys.actions import Where
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.compare.comparisons import ComparisonChoice
from monosem_tui.screens.compare.page import PairReader
from monosem_tui.screens.compare.pairs import PairOrder
from monosem_tui.screens.compare.state import CompareState
from monosem_tui.screens.compare.study import StudyReader
from monosem_tui.screens.session import Session
from monosem_tui.widgets.line_view import Trouble
from monosem_tui.widgets.study_view import StudyView


class CompareScreen(MonosemScreen):
    """A list of pairs, or the page of one, or the tables of a study."""

    VIEW, PLACE = "compare", Where.COMPARE

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.state = CompareState(self, session.opened)
        self.order = PairOrder(self.state)
        self.reader = PairReader(self.state, self.order)
        self.choice = ComparisonChoice(self.state, self.order)
        self.tables = StudyView(session.palette)
        self.study = StudyReader(self.state, self.tables)
        self.parts = (self.study, self.reader, self.order, self.choice)

    def body(self) -> Iterable[Widget]:
        """The list, and the page or the tables in its place."""
        yield self.state.listing
        yield self.state.page
        yield self.tables

    def on_mount(self) -> None:
        """Keys go to the list."""
        self.set_focus(self.state.listing)

    # Messages of the widgets

    def on_cursor_list_highlighted(self) -> None:
        """Show the position of the cursor in the bottom line."""
        self.retell()

    def on_cursor_list_opened(self) -> None:
        """Open the pair that was clicked twice."""
        self.reader.action_open()

    def on_pair_list_turned(self) -> None:
        """Read what has come onto the screen."""
        self.choice.read_in_sight()

    def on_sheet_view_opened(self) -> None:
        """Show the feature of a passage that was clicked twice."""
        self.reader.action_browse()

    def on_scrolled_view_moved(self) -> None:
        """Show in the bottom line which lines are on the screen."""
        self.retell()

    def on_trouble(self, message: Trouble) -> None:
        """Show that a store could not be read while a line was drawn."""
        self.mention(message.error)

    # Requests of other screens

    def show_partners(self, feature: int, origin: str) -> None:
        """Show a feature's partners in all other runs; escape goes back to another screen."""
        self.study.close()
        self.reader.close()
        self.order.show_partners(feature, origin)
