"""The live model: a prompt continued with and without clamps, which keys change while it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.actions import Need, Where
from monosem_tui.live.conversation import Conversation, Phase
from monosem_tui.live.process import ModelProcess
from monosem_tui.live.tray import Tray
from monosem_tui.live.writing import Sampling
from monosem_tui.memory import LiveMemory, Memory, state_folder
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.session import Session
from monosem_tui.text.live_page import Shown
from monosem_tui.text.numbers import count
from monosem_tui.widgets.filter_input import LiveKind, Typed
from monosem_tui.widgets.live_view import LiveView
from store import wire
from store.clamp import parse_clamp
from store.errors import MonosemError
from store.recipe import Recipe
from store.run import RunFolder

PAUSE = 0.05
"""Seconds between two looks at what the model has said: 20 a second are more than a slow line carries."""
ALONE = "a features.h5 by itself has no model: open its run's folder"


class Heard(Message):
    """The model's process has said something."""

    def __init__(self, process: ModelProcess) -> None:
        super().__init__()
        self.process = process


class LiveScreen(MonosemScreen):
    """One page; its model lives in a process of its own, from the first time that it is needed."""

    VIEW, PLACE = "live", Where.WRITING

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.run is None:
            raise ValueError("the model of no run")
        self.run = session.run
        self.talk = Conversation(self._folder().path, self._start_process)
        kept = session.memory.live
        self.shown = Shown(
            self.talk,
            session.clamps,
            self.run.store.vocabulary,
            session.maximum,
            self._label,
            prompt=kept.prompt,
            sampling=_sampling(kept.sampling),
        )
        self.view = LiveView(session.palette, self.shown)
        self._revision = self.tray.revision
        self._editing = False
        self._heard_at = 0.0
        self._timer: Timer | None = None

    @property
    def tray(self) -> Tray:
        """The clamps."""
        return self.shown.tray

    def _folder(self) -> RunFolder:
        path = self.run.path
        return RunFolder(path.parent if path.is_file() else path)

    def _label(self, feature: int) -> str:
        note = self.run.notes.get(feature)
        return note.label if note else ""

    def _start_process(self) -> ModelProcess:
        return ModelProcess(
            state_folder() / "live.log", lambda process: self.post_message(Heard(process)), self.command
        )

    command = staticmethod(wire.command)
    """What is run, given the log."""

    def body(self) -> Iterable[Widget]:
        """The page."""
        yield self.view

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.view)
        self.tell()

    def on_unmount(self) -> None:
        """No screen, no model."""
        self.talk.close()

    def on_screen_resume(self) -> None:
        """The tray may have been filled on another screen."""
        super().on_screen_resume()
        self._obey()

    def remembered(self, memory: Memory) -> Memory:
        """Prompt, clamps and settings."""
        shown = self.shown
        return replace(
            memory, live=LiveMemory(prompt=shown.prompt, clamps=self.tray.written(), sampling=str(shown.sampling))
        )

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.CLAMPS:
            return not self.tray.held
        if need is Need.TEXT:
            return not len(self.talk.writing)
        if need is Need.TOKEN:
            return self.shown.cursor is None
        return super().lacks(need)

    @property
    def can_go_back(self) -> bool:
        """Always: from the token under the cursor to the end of the text, from there to Browse."""
        return True

    def go_back(self) -> None:
        """Stop what is being written, follow the text to its end again, or to Browse."""
        if self.talk.phase in (Phase.WRITING, Phase.BUSY):
            self.action_write()
        elif self.shown.cursor is not None:
            self.shown.cursor = None
            self._renew()
        else:
            super().go_back()

    def position(self) -> str:
        """How much has been written, and how."""
        written = len(self.talk.writing)
        return " · ".join([*([f"{count(written)} tokens"] if written else []), self.shown.sampling.words])

    # What the model says

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
        self._renew()
        if said:
            self.tell(said)

    def _renew(self) -> None:
        if self.shown.cursor is not None:
            self.shown.cursor = max(0, min(self.shown.cursor, len(self.talk.writing) - 1))
        self.view.renew()
        self.retell()

    # Writing

    def _recipe(self) -> Recipe:
        s = self.shown.sampling
        return Recipe(
            prompt=self.shown.prompt,
            clamps=self.tray.clamps,
            max_new=s.max_new,
            temperature=s.temperature,
            top_p=s.top_p,
            top_k=s.top_k,
            seed=s.seed,
        )

    def _may_run(self) -> bool:
        """Whether there is a model, and a prompt for it; says what is missing."""
        if self.run.record is None:
            self.tell(ALONE)
        elif not self.shown.prompt:
            self.tell("there is no prompt: p types one")
        else:
            return True
        return False

    def _write(self, tokens: int | None = None) -> None:
        """Anew from the prompt."""
        if self._may_run():
            self.shown.cursor = None
            self.talk.write(self._recipe(), tokens)
            self._renew()

    def action_write(self) -> None:
        """Write, write on, or stop."""
        if self.talk.phase is Phase.WRITING:
            self.talk.pause()
        elif self.talk.phase in (Phase.BUSY, Phase.LOADING):
            self.talk.stop()
            self.tell("stopped" if self.talk.phase is Phase.BUSY else "nothing will be written once it is loaded")
        elif self.talk.can_go_on(self._recipe()):
            self.talk.go()
        else:
            self._write()
        self._renew()

    def action_step(self) -> None:
        """Pause, or one token more."""
        if self.talk.phase is Phase.WRITING:
            self.talk.pause()
        elif self.talk.phase in (Phase.RESTING, Phase.NONE, Phase.DEAD):
            if self.talk.can_go_on(self._recipe()):
                self.talk.go(1)
            else:
                self._write(1)

    def action_token(self, steps: int) -> None:
        """To another token of the text; beyond the last one, follow the end again."""
        last = len(self.talk.writing) - 1
        at = self.shown.cursor
        wanted = (last if steps < 0 else 0) if at is None else at + steps
        self.shown.cursor = None if wanted > last else max(0, wanted)
        self._renew()

    def action_branch(self) -> None:
        """Write on from the token under the cursor, under the clamps of now."""
        at = self.shown.cursor
        if at is None:
            return
        if not (self.talk.is_open and self.talk.phase in (Phase.WRITING, Phase.RESTING)):
            self.tell("the model holds this text no more: ctrl+g writes it anew")
            return
        self.shown.cursor = None
        self.talk.branch(at)
        self.tell(f"on from token {at + 1}")

    def action_seed(self) -> None:
        """Another seed, and the text anew."""
        sampling = self.shown.sampling
        if sampling.temperature == 0:
            self.tell("greedy: the most probable token is always taken, whatever the seed; g sets a temperature")
            return
        self.shown.sampling = replace(sampling, seed=sampling.seed + 1)
        self._write()

    def action_restart(self) -> None:
        """The model's process anew."""
        if self.run.record is None:
            self.tell(ALONE)
            return
        self.talk.restart()
        self._renew()

    # Clamps

    def _obey(self) -> None:
        """The process is told of what has changed in the tray, and the page shows it."""
        if self.tray.revision != self._revision:
            self._revision = self.tray.revision
            self.talk.change(self.tray.clamps)
        self._renew()

    def action_move(self, rows: int) -> None:
        """Another clamp."""
        self.tray.move(rows)
        self._renew()

    def action_strength(self, steps: int) -> None:
        """Stronger or weaker."""
        self._changed(lambda: self.tray.strengthen(steps, self.session.maximum))

    def action_off(self) -> None:
        """Off, or on."""
        self._changed(self.tray.switch)

    def action_ablate(self) -> None:
        """Ablated, or not."""
        self._changed(self.tray.ablate)

    def action_mode(self) -> None:
        """The next mode."""
        self._changed(lambda: self.tray.cycle(self.session.maximum))

    def action_drop(self) -> None:
        """Out of the tray."""
        self._changed(self.tray.drop)

    def _changed(self, change: Callable[[], None]) -> None:
        try:
            change()
        except MonosemError as error:
            self.tell(error.what)
        else:
            self._obey()

    # Typing

    def action_prompt(self) -> None:
        """Type a prompt; the model is loaded meanwhile."""
        if self.run.record is None:
            self.tell(ALONE)
            return
        self.talk.wake_up()
        self._type("prompt", self.shown.prompt)

    def action_add(self) -> None:
        """Type a clamp."""
        self._editing = False
        self._type("clamp", "")

    def action_edit(self) -> None:
        """Type the clamp under the cursor anew."""
        if self.tray.present is not None:
            self._editing = True
            self._type("clamp", str(self.tray.present.clamp))

    def action_settings(self) -> None:
        """Type how tokens are drawn."""
        self._type("settings", str(self.shown.sampling))

    def _type(self, kind: LiveKind, text: str) -> None:
        self.type_into(kind, text)
        self._renew()

    def typed(self, what: Typed) -> None:
        """The end of what is typed."""
        if what not in (Typed.KEEP, Typed.LEAVE):
            return
        kind, text = self.input.kind, self.input.text
        self.stop_typing()
        self.tell()
        if what is Typed.KEEP:
            try:
                self._take_text(kind, text)
            except MonosemError as error:
                self.tell(" · ".join(filter(None, (error.what, error.hint))))
        self._renew()

    def _take_text(self, kind: str, text: str) -> None:
        if kind == "prompt":
            self.shown.prompt = text
            self._write()
        elif kind == "settings":
            self.shown.sampling = self.shown.sampling.changed(text)
            self.tell(f"{self.shown.sampling.words}, from the next text on")
        elif kind == "clamp" and text.strip():
            clamp = parse_clamp(text.strip())
            d_sae = self.run.store.d_sae
            for feature in (clamp.feature, *(condition.feature for condition in clamp.where.conditions)):
                if feature >= d_sae:
                    raise MonosemError(f"there is no feature {feature}", f"They are 0 to {d_sae - 1}.")
            clamp.change(self.session.maximum(clamp.feature))
            (self.tray.put if self._editing else self.tray.add)(clamp)
            self._obey()


def _sampling(text: str) -> Sampling:
    try:
        return Sampling().changed(text)
    except MonosemError:
        return Sampling()
