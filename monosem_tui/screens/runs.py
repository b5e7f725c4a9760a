"""All runs under a folder; those in training are followed while this screen is shown."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.widget import Widget

from monosem_tui.draw.safe_text import printable
from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.model.runs_watch import RunState, RunsWatch
from monosem_tui.pages.run_rows import run_detail
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.patience import Waiting
from monosem_tui.screens.run_differences import RunDifferences
from monosem_tui.screens.run_order import RunOrder
from monosem_tui.screens.run_training import RunTraining
from monosem_tui.screens.session import RunChosen, Session, ViewWanted
from monosem_tui.widgets.line_view import OneLine
from monosem_tui.widgets.run_differences_view import RunDifferencesView
from monosem_tui.widgets.run_list import RunList
from monosem_tui.widgets.training_view import TrainingView
from store.files.errors import MonosemError


class RunsScreen(MonosemScreen):
    """A list, or the training of one run. It reads files and nothing else, so no run notices that it is watched."""

    VIEW, PLACE = "runs", Where.RUNS

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.runs = RunList(session.palette, session.root)
        self.view = TrainingView(session.palette)
        self.detail = OneLine(session.palette)
        self.files = FileWatch(self, RunsWatch(session.root).poll, self._take)
        self.training = RunTraining(self, self.runs, self.view, self._describe)
        self.order = RunOrder(self, self.runs, self._show)
        self.compared = RunDifferencesView(session.palette)
        self.differences = RunDifferences(self, self.runs, self.compared, self._describe)
        self._states: tuple[RunState, ...] = ()
        """All runs, the newest first."""
        self.waiting = Waiting(self)
        self.parts = (self.files, self.training, self.differences, self.order, self.waiting)
        self.needs[Need.RUNS] = lambda: self.runs.total > 0

    def body(self) -> Iterable[Widget]:
        """The list, a training or some runs side by side, and a line on the run under the cursor."""
        yield self.runs
        yield self.view
        yield self.compared
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
        if states != self._states or not states:
            self._states = states
            self._show()
        if self.session.followed is not None and self.runs.go_to(self.session.followed):
            self.session.followed = None
            self.action_curves()
        tuning, working = self.session.tuning, any(state.working for state in states)
        self.files.look_later(tuning.training if working else tuning.no_training)

    def on_screen_resume(self) -> None:
        """Mark the run that was opened since."""
        if self._states and self.runs.opened != self.session.folder:
            self._show()

    def _show(self) -> None:
        self.runs.show(self._states, self.session.folder, self.order.ordering)
        self._describe()
        self.retell()

    def on_cursor_list_highlighted(self) -> None:
        """Describe the run under the cursor in the line below."""
        self._describe()
        self.retell()

    def on_cursor_list_opened(self) -> None:
        """Open the run that was clicked twice."""
        self.action_open()

    def on_scrolled_view_moved(self) -> None:
        """Show the position in the bottom line."""
        self.retell()

    def action_open(self) -> None:
        """Show the features of the run under the cursor; of one that has none yet, its training."""
        state = self.runs.chosen
        if state is None:
            return
        if self._is_open(state):
            self.post_message(ViewWanted("browse"))
        elif state.row.status in ("stopped", "failed") and state.row.arch and not state.browsable:
            self.tell(f"{state.row.name} has no index yet: monosem train --resume --out {state.row.path} goes on")
        elif state.working and not state.browsable:
            if not self.training.open:
                self.action_curves()
            self.tell("browsable once indexing starts")
        else:
            self.waiting.begin(f"opening {printable(state.row.name)}")
            self.post_message(RunChosen(state.path))

    def action_curves(self) -> None:
        """Show the training of the run under the cursor."""
        state = self.runs.chosen
        if state is not None:
            with self.mentioning():
                self.training.follow(state.path)
            self._describe()

    def why_not(self, action: Action) -> str:
        """Return why an action does nothing now; Health of a run that is not open is its training."""
        if Need.RUNS in action.needs and not self.runs.looked:
            return "the folder of runs is still being read"
        return "" if self._means_training(action.id == "view.health") else super().why_not(action)

    async def action_view(self, name: str) -> None:
        """Show another screen; in place of Health, the training of the run under the cursor where that is not open."""
        if self._means_training(name == "health"):
            self.action_curves()
        else:
            await self.app.run_action(f"view('{name}')")

    def complain(self, error: MonosemError) -> None:
        """Show an error; what was waited for has ended with it."""
        self.waiting.end()
        super().complain(error)

    def _means_training(self, health: bool) -> bool:
        state = self.runs.chosen
        return health and state is not None and state.row.arch is not None and not self._is_open(state)

    def _is_open(self, state: RunState) -> bool:
        run, opened = self.session.run, self.session.folder
        complete = run is not None and run.store.complete
        return complete and opened is not None and state.path.resolve() == opened

    def _describe(self) -> None:
        state = self.runs.chosen
        self.detail.display = not self.compared.display  # runs side by side have no cursor
        self.detail.show(run_detail(state, self.size.width) if state else ())
