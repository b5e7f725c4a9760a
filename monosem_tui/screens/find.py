"""Find: features ranked by how well they track a regular expression, and the page beside them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from monosem_tui.keys.actions import Where
from monosem_tui.model.command_line import Command, FindPattern
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.feature.pane import FeaturePane
from monosem_tui.screens.pattern_search import PatternSearch
from monosem_tui.screens.session import Session
from monosem_tui.widgets.ranking import FeatureRanking

WIDER = 12
"""Cells that the ranking has beyond the usual width of a list: its rows are figures."""


class FindScreen(MonosemScreen):
    """The ranking of one pattern, and the page of the feature under its cursor."""

    VIEW, PLACE = "find", Where.FIND

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        run = session.opened
        self.ranking = FeatureRanking(run, session.palette)
        self.pane = FeaturePane(
            self, run, self.ranking, open_listed=self._open_in_browse, outside=self._outside, wider=WIDER
        )
        self.search = PatternSearch(self, self.pane, self.ranking)
        self.parts = (self.pane.ngrams, self.search, *self.pane.on_page, *self.pane.parts)

    def body(self) -> Iterable[Widget]:
        """The two panes, and the n-grams below them."""
        yield self.pane
        yield self.pane.ngrams.panel

    def on_screen_resume(self) -> None:
        """Follow an index that has grown meanwhile."""
        run = self.session.opened
        if run is not self.pane.state.run:
            self.pane.state.run = run
            self.ranking.take_run(run)

    def obey(self, command: Command) -> None:
        """Do what was typed after `:`."""
        if not isinstance(command, FindPattern):
            super().obey(command)
        elif command.pattern:
            self.search.ask(command.pattern)
        else:
            self.search.action_pattern()

    def _outside(self, feature: int) -> str:
        return "" if (self.ranking.order == feature).any() else "not in the ranking"

    def _open_in_browse(self) -> None:
        feature = self.pane.state.feature
        if feature is not None:
            self.search.show_in_browse(feature, page=True)
