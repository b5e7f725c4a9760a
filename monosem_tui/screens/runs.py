"""All runs under a folder; those in training are followed while this screen is shown."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.widget import Widget

from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.runs_watch import RunState, RunsWatch
from monosem_tui.pages.run_rows import run_detail
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.session import RunChosen, Session, ViewWanted
from monosem_tui.widgets.line_view import OneLine
from monosem_tui.widgets.run_list import RunList
from store.files.errors import MonosemError


class RunsScreen(MonosemScreen):
    """One list. It reads files and nothing else, so no run notices that it is watched."""

    VIEW, PLACE = "runs", Where.RUNS

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.runs = RunList(session.palette, session.root)
        self.detail = OneLine(session.palette)
        self.files = FileWatch(self, RunsWatch(session.root).poll, self._take)
        self.parts = (self.files,)
        self.needs[Need.RUNS] = lambda: bool(self.runs.states)

    def body(self) -> Iterable[Widget]:
        """The list, and a line on the run under its cursor."""
        yield self.runs
        yield self.detail

    def on_mount(self) -> None:
        """Keys go to the list."""
        self.set_focus(self.runs)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the line on the run out for the width."""
        self._describe()

    def _take(self, states: tuple[RunState, ...] | MonosemError) -> None:
        """Show what was read, and look again in a while."""
        if isinstance(states, MonosemError):
            self.tell(states.what)
            return
        if states != self.runs.states or not states:
            self._show(states)
        tuning, working = self.session.tuning, any(state.working for state in states)
        self.files.look_later(tuning.training if working else tuning.no_training)

    def on_screen_resume(self) -> None:
        """Mark the run that was opened since."""
        if self.runs.states and self.runs.opened != self.session.folder:
            self._show(self.runs.states)

    def _show(self, states: tuple[RunState, ...]) -> None:
        self.runs.show(states, self.session.folder)
        self._describe()
        self.retell()

    def position(self) -> str:
        """Return the run's number and the total."""
        n = len(self.runs.states)
        return f"{self.runs.cursor + 1} of {n}" if n else ""

    def on_cursor_list_highlighted(self) -> None:
        """Describe the run under the cursor in the line below."""
        self._describe()
        self.retell()

    def on_cursor_list_opened(self) -> None:
        """Open the run that was clicked twice."""
        self.action_open()

    def action_open(self) -> None:
        """Show the features of the run under the cursor."""
        state = self.runs.chosen
        if state is None:
            return
        run, opened = self.session.run, self.session.folder
        if run is not None and run.store.complete and opened is not None and state.path.resolve() == opened:
            self.post_message(ViewWanted("browse"))
        elif state.working and not state.browsable:
            self.tell(f"{state.row.name} is still training; browsable once indexing starts")
        else:
            self.tell(f"opening {state.row.name}")
            self.post_message(RunChosen(state.path))

    def _describe(self) -> None:
        state = self.runs.chosen
        self.detail.show(run_detail(state, self.size.width) if state else ())
