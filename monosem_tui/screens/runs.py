"""All runs under a folder; those that a process is at work on are followed while this screen is shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual import events, work
from textual.message import Message
from textual.widget import Widget

from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.runs_watch import RunState, RunsWatch
from monosem_tui.pages.run_rows import run_detail
from monosem_tui.screens.file_watch import WatchingScreen
from monosem_tui.screens.session import RunChosen, Session, ViewWanted
from monosem_tui.widgets.line_view import OneLine
from monosem_tui.widgets.run_list import RunList

BUSY, QUIET = 1.0, 3.0
"""Seconds between looks at the files: while something is at work, and while nothing is."""


class RunsSeen(Message):
    """The folder has been looked at."""

    def __init__(self, states: tuple[RunState, ...]) -> None:
        super().__init__()
        self.states = states


class RunsScreen(WatchingScreen):
    """One list. It reads files and nothing else, so no run notices that it is watched."""

    VIEW, PLACE = "runs", Where.RUNS

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.runs = RunList(session.palette, session.root)
        self.detail = OneLine(session.palette)
        self._watch = RunsWatch(session.root)

    def body(self) -> Iterable[Widget]:
        """The list, and a line on the run under its cursor."""
        yield self.runs
        yield self.detail

    def on_mount(self) -> None:
        """Keys go to the list."""
        self.set_focus(self.runs)

    def on_resize(self, _event: events.Resize) -> None:
        """The line on the run is laid out for the width."""
        self._describe()

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        return not self.runs.states if need is Need.RUNS else super().lacks(need)

    @work(thread=True, exclusive=True, group="watch", exit_on_error=False)
    def look(self) -> None:
        """Read what has changed, away from the keys."""
        self.post_message(RunsSeen(self._watch.poll()))

    def on_runs_seen(self, message: RunsSeen) -> None:
        """Show it, and look again in a while."""
        if message.states != self.runs.states or not message.states:
            self.runs.show(message.states, self._opened())
            self._describe()
            self.retell()
        self.look_again(BUSY if any(state.working for state in message.states) else QUIET)

    def position(self) -> str:
        """Which run of how many."""
        n = len(self.runs.states)
        return f"{self.runs.cursor + 1} of {n}" if n else ""

    def on_run_list_highlighted(self) -> None:
        """The line below says which run it is."""
        self._describe()
        self.retell()

    def on_run_list_opened(self) -> None:
        """A row was clicked twice."""
        self.action_open()

    def action_open(self) -> None:
        """Show the features of the run under the cursor."""
        state = self.runs.chosen
        if state is None:
            return
        run, opened = self.session.run, self._opened()
        if run is not None and run.store.complete and opened is not None and state.path.resolve() == opened:
            self.post_message(ViewWanted("browse"))
            return
        if state.working and not state.browsable:
            self.tell(f"{state.row.name} has no index yet; it can be browsed from the first segment on")
            return
        self.tell(f"opening {state.row.name}")
        self.post_message(RunChosen(state.path))

    def _opened(self) -> Path | None:
        return self.session.folder

    def _describe(self) -> None:
        state = self.runs.chosen
        self.detail.show(run_detail(state, self.size.width) if state else ())
