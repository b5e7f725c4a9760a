"""The tables of the study that the open run belongs to, in place of the list."""

from __future__ import annotations

from monosem_tui.export.study_tables import Table, study_tables
from monosem_tui.keys.actions import Need, Where
from monosem_tui.screens.compare.state import CompareState
from monosem_tui.screens.output_files import unreadable
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.study_view import StudyView
from store.files.errors import MonosemError
from store.study.report_file import read_report, report_of


class StudyReader(ScreenPart):
    """Opens and closes the tables; a report that was written anew is read anew."""

    def __init__(self, state: CompareState, view: StudyView) -> None:
        self._state, self._host, self._view = state, state.host, view
        view.display = False
        self.needs = {Need.STUDY: lambda: report_of(state.run.path) is not None}

    @property
    def here(self) -> Where | None:
        """The tables, if they are open."""
        return Where.STUDY if self._view.display else None

    def position(self) -> str:
        """Return the visible lines."""
        return self._view.position() if self._view.display else ""

    def way_back(self) -> Way | None:
        """Close the tables."""
        return self.close if self._view.display else None

    def close(self) -> None:
        """Show the list again, if the tables are shown."""
        if self._view.display:
            self._show(shown=False)

    def action_study(self) -> None:
        """Show the tables, or the list again."""
        if self._view.display:
            self.close()
        else:
            self._host.away(self._read, self._take, "study")

    def _read(self) -> tuple[str, list[Table]]:
        """Read the report; runs in a thread."""
        path = report_of(self._state.run.path)
        if path is None:
            raise MonosemError(Need.STUDY.value)
        figures = read_report(path)
        try:
            return figures.title, study_tables(figures)
        except Exception as error:  # figures of a stranger's file may not belong together
            raise unreadable(error) from error

    def _take(self, found: tuple[str, list[Table]]) -> None:
        self._view.show(*found)
        self._show(shown=True)

    def _show(self, *, shown: bool) -> None:
        self._view.display, self._state.listing.display = shown, not shown
        self._host.set_focus(self._view if shown else self._state.listing)
        self._host.retell()
