"""The model's process as the parts of Live see it: started when first needed, what it sends drawn in bundles."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from textual.timer import Timer

from monosem_tui.draw.spans import Span
from monosem_tui.draw.token_text import display_token
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.process import AttachedProcess, ModelProcess, ProcessConnection
from monosem_tui.live.tray import Tray
from monosem_tui.model.feature_explanations import said_of
from monosem_tui.model.session_state import state_folder
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart, WorkDone
from monosem_tui.widgets.line_input import LiveKind
from store.live import wire
from store.run.folder import RunFolder

PAUSE = 0.05
"""Seconds between two looks at what the model has sent: 20 a second are more than a slow line carries."""
ALONE = "a features.h5 by itself has no model: open its run's folder"


class ModelConnection(ScreenPart):
    """Keeps `talk`, and reports changes of the tray to it."""

    command = staticmethod(wire.command)
    """Returns the command line of the process, given its log."""

    def __init__(self, host: MonosemScreen, redraw: Callable[[], object]) -> None:
        """Prepare to connect.

        Args:
            host: the screen.
            redraw: draws what is shown of the model.
        """
        self.host, self.redraw = host, redraw
        session = host.session
        self.run = session.opened
        path = self.run.path
        self.folder = RunFolder(path.parent if path.is_file() else path)
        self.talk = ModelClient(self.folder.path, self._start_process, comes_back=session.attach is not None)
        self.tray: Tray = session.clamps
        self._revision = self.tray.revision
        self._heard_at = 0.0
        self._timer: Timer | None = None

    def label(self, feature: int) -> Span:
        """Return the label of a feature, else its best explanation, else the token on which it fires most."""
        said = said_of(self.run.notes, self.run.explanations, feature)
        if said is not None:
            return said
        store = self.run.store
        if not 0 <= feature < store.d_sae or not store.columns.count_F[feature]:
            return Span("")
        token = store.vocabulary.token(int(store.columns.top_token_F[feature]))
        return Span(f"on {display_token(token, longest=20)}")

    @property
    def has_model(self) -> bool:
        """Return whether there is a model; show a sentence where there is none."""
        if self.run.record is None:
            self.host.tell(ALONE)
        return self.run.record is not None

    def ask(self, kind: LiveKind, text: str, take: Callable[[str], object], *, selected: bool = False) -> None:
        """Have a text typed for `take`, and draw what comes of it; a `selected` one is a proposal."""

        def taken(text: str) -> None:
            try:
                take(text)
            finally:
                self.redraw()

        self.host.line.ask(kind, text, taken, selected=selected)
        self.redraw()

    def _tick(self) -> None:
        """Draw how long one has waited; nothing where nobody waits."""
        if self.host.is_current and self.talk.phase.waits:
            self.redraw()

    def started(self) -> None:
        """Connect at once to a process that outlives the terminal: it may have a text from an earlier time."""
        self.host.set_interval(self.host.session.tuning.seconds, self._tick)
        if self.host.session.attach is not None and self.has_model:
            self.talk.wake_up()

    def ended(self) -> None:
        """Without a screen, no model."""
        self.talk.close()

    def resumed(self) -> None:
        """Follow a tray that was changed on another screen."""
        self.follow_tray()

    def follow_tray(self) -> None:
        """Send what has changed in the tray to the process, and draw."""
        if self.tray.revision != self._revision:
            self._revision = self.tray.revision
            self.talk.change(self.tray.clamps)
        self.redraw()

    def forget_change(self) -> None:
        """Take the tray as it is for known to the process: a recipe that is about to be sent has all of it."""
        self._revision = self.tray.revision

    def action_restart(self) -> None:
        """Start the model's process again."""
        if self.has_model:
            self.talk.restart()
            self.redraw()

    def _start_process(self) -> ProcessConnection:
        def wake(process: ProcessConnection) -> None:
            self.host.post_message(WorkDone(partial(self._wake, process)))

        if self.host.session.attach is not None:
            return AttachedProcess(self.host.session.attach, wake)
        return ModelProcess(state_folder() / "live.log", wake, self.command)

    def _wake(self, process: ProcessConnection) -> None:
        """Take what the process has sent now, or with what comes in the next moments."""
        if not self.talk.belongs(process):
            return
        wait = self._heard_at + PAUSE - time.monotonic()
        if wait <= 0:
            self._hear()
        elif self._timer is None:
            self._timer = self.host.set_timer(wait, self._hear)

    def _hear(self) -> None:
        self._timer, self._heard_at = None, time.monotonic()
        problem = self.talk.problem
        self.talk.hear()
        said, self.talk.said = self.talk.said, ""
        if self.talk.problem and self.talk.problem != problem:
            said = self.talk.problem
        self.redraw()
        if said:
            self.host.tell(said)
