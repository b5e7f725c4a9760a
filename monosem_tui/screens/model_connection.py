"""A screen that talks to the model: its process begins when first needed, and what it says is drawn in bundles."""

from __future__ import annotations

import time
from typing import Literal

from textual.message import Message
from textual.timer import Timer

from monosem_tui.draw.token_text import display_token
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.process import AttachedProcess, ModelProcess, ProcessConnection
from monosem_tui.live.tray import Tray
from monosem_tui.model.session_state import state_folder
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.session import Session
from monosem_tui.widgets.filter_input import LiveKind
from store.live import wire
from store.run.folder import RunFolder

Page = Literal["writing", "inspect", "recipes"]
PAUSE = 0.05
"""Seconds between two looks at what the model has said: 20 a second are more than a slow line carries."""
ALONE = "a features.h5 by itself has no model: open its run's folder"


class Heard(Message):
    """The model's process has said something."""

    def __init__(self, process: ProcessConnection) -> None:
        super().__init__()
        self.process = process


class ModelScreen(MonosemScreen):
    """Keeps `talk`; a subclass shows it in `renew`."""

    command = staticmethod(wire.command)
    """What is run, given the log."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.run is None:
            raise ValueError("the model of no run")
        self.run = session.run
        path = self.run.path
        self.folder = RunFolder(path.parent if path.is_file() else path)
        self.talk = ModelClient(self.folder.path, self._start_process, comes_back=session.attach is not None)
        self.tray: Tray = session.clamps
        self._revision = self.tray.revision
        self._heard_at = 0.0
        self._timer: Timer | None = None

    def renew(self) -> None:
        """Draw what has changed."""
        raise NotImplementedError

    def show_page(self, page: Page) -> None:
        """Another page of this screen."""
        raise NotImplementedError

    def type_text(self, kind: LiveKind, text: str) -> None:
        """Have something typed."""
        raise NotImplementedError

    def take_text(self, kind: str, text: str) -> None:
        """What was typed; each part of the screen takes its own kinds."""
        raise ValueError(f"nobody takes {text!r}, a {kind}")

    def label(self, feature: int) -> str:
        """What somebody called it, or else the token on which it fires most."""
        note = self.run.notes.get(feature)
        if note and note.label:
            return note.label
        store = self.run.store
        if not 0 <= feature < store.d_sae or not store.columns.count_F[feature]:
            return ""
        token = store.vocabulary.token(int(store.columns.top_token_F[feature]))
        return f"on {display_token(token, longest=20)}"

    @property
    def has_model(self) -> bool:
        """Whether there is a model; says so where there is none."""
        if self.run.record is None:
            self.tell(ALONE)
        return self.run.record is not None

    def on_mount(self) -> None:
        """A process that outlives the terminal may have a text from an earlier time."""
        if self.session.attach is not None and self.has_model:
            self.talk.wake_up()

    def on_unmount(self) -> None:
        """No screen, no model."""
        self.talk.close()

    def on_screen_resume(self) -> None:
        """The tray may have been filled on another screen."""
        super().on_screen_resume()
        self.follow_tray()

    def follow_tray(self) -> None:
        """The process is told of what has changed in the tray, and the page shows it."""
        if self.tray.revision != self._revision:
            self._revision = self.tray.revision
            self.talk.change(self.tray.clamps)
        self.renew()

    def forget_change(self) -> None:
        """What has changed in the tray is told by whoever has changed it."""
        self._revision = self.tray.revision

    def action_restart(self) -> None:
        """The model's process anew."""
        if self.has_model:
            self.talk.restart()
            self.renew()

    def _start_process(self) -> ProcessConnection:
        def wake(process: ProcessConnection) -> None:
            self.post_message(Heard(process))

        if self.session.attach is not None:
            return AttachedProcess(self.session.attach, wake)
        return ModelProcess(state_folder() / "live.log", wake, self.command)

    def on_heard(self, message: Heard) -> None:
        """Take it now, or with what comes in the next moments."""
        if not self.talk.belongs(message.process):
            return
        wait = self._heard_at + PAUSE - time.monotonic()
        if wait <= 0:
            self._hear()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self._hear)

    def _hear(self) -> None:
        self._timer, self._heard_at = None, time.monotonic()
        problem = self.talk.problem
        self.talk.hear()
        said, self.talk.said = self.talk.said, ""
        if self.talk.problem and self.talk.problem != problem:
            said = self.talk.problem
        self.renew()
        if said:
            self.tell(said)
