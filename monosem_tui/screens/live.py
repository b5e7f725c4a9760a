"""The live model: a prompt continued with and without clamps, which keys change while it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from textual import work
from textual.widget import Widget

from monosem_tui.actions import Need, Where
from monosem_tui.live.conversation import Phase
from monosem_tui.live.kept import export, free_name, save_recipe
from monosem_tui.live.tray import strengths
from monosem_tui.live.writing import Sampling
from monosem_tui.memory import LiveMemory, Memory
from monosem_tui.screens.inspecting import InspectingScreen
from monosem_tui.screens.session import Session
from monosem_tui.text.live_page import Shown
from monosem_tui.text.numbers import count
from monosem_tui.widgets.filter_input import LiveKind, Typed
from monosem_tui.widgets.keys import bindings
from monosem_tui.widgets.live_view import LiveView
from store.clamp import parse_clamp, parse_sweep
from store.errors import MonosemError
from store.recipe import Recipe


class LiveScreen(InspectingScreen):
    """One page; its model lives in a process of its own, from the first time that it is needed."""

    VIEW, PLACE = "live", Where.LIVE
    BINDINGS = bindings(Where.LIVE)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        kept = session.memory.live
        self.shown = Shown(
            self.talk,
            self.tray,
            self.run.store.vocabulary,
            session.maximum,
            self.label,
            prompt=kept.prompt,
            sampling=_sampling(kept.sampling),
        )
        self.view = LiveView(session.palette, self.shown)
        self._editing = False

    @property
    def here(self) -> Where:
        """What the page is used for now."""
        return Where.INSPECT if self.looking else Where.WRITING

    def body(self) -> Iterable[Widget]:
        """The page of each mode."""
        yield self.view
        yield self.inspected

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.view)
        self.tell()

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
        if need is Need.READ:
            return self.looked.feature is None
        if need is Need.TOKEN:
            return self.shown.cursor is None
        return super().lacks(need)

    @property
    def can_go_back(self) -> bool:
        """Always: Browse is where one came from."""
        return True

    def go_back(self) -> None:
        """Stop what runs; back to writing; follow the text to its end again; to Browse."""
        if self.talk.phase in (Phase.WRITING, Phase.BUSY):
            self.action_write()
        elif self.looking:
            self.action_inspect()
        elif self.shown.sweeping:
            self.shown.sweeping = False
            self.renew()
        elif self.shown.cursor is not None:
            self.shown.cursor = None
            self.renew()
        else:
            super().go_back()

    def position(self) -> str:
        """How much has been written, and how; or which token is looked at."""
        if self.looking:
            reads = len(self.looked.reads)
            return f"token {self.looked.token + 1} of {count(reads)}" if reads else ""
        # Not while it writes: the bottom line would cost more a token than all the rest.
        written = 0 if self.talk.phase is Phase.WRITING else len(self.talk.writing)
        return " · ".join([*([f"{count(written)} tokens"] if written else []), self.shown.sampling.words])

    def renew(self) -> None:
        """Draw what has changed."""
        if self.looking:
            self.look_again()
        else:
            if self.shown.cursor is not None:
                self.shown.cursor = max(0, min(self.shown.cursor, len(self.talk.writing) - 1))
            self.view.renew()
        self.retell()

    def action_inspect(self) -> None:
        """To the other mode."""
        looking = not self.looking
        self.inspected.display, self.view.display = looking, not looking
        self.set_focus(self.inspected if looking else self.view)
        if looking:
            self.begin_looking(self.shown.prompt)
        self.tell()
        self.renew()

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
        if self.has_model and not self.shown.prompt:
            self.tell("there is no prompt: p types one")
            return False
        return self.has_model

    def _write(self, tokens: int | None = None) -> None:
        """Anew from the prompt."""
        if self._may_run():
            self.shown.cursor, self.shown.sweeping = None, False
            self.talk.write(self._recipe(), tokens)
            self.renew()

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
        self.renew()

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
        self.renew()

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

    # Clamps

    def action_move(self, rows: int) -> None:
        """Another clamp."""
        self.tray.move(rows)
        self.renew()

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
            self.follow_tray()

    # Typing

    def action_prompt(self) -> None:
        """Type a prompt; the model is loaded meanwhile."""
        if self.has_model:
            self.talk.wake_up()
            self._type("prompt", self.shown.prompt)

    def action_text(self) -> None:
        """Type a text to look at; the model is loaded meanwhile."""
        if self.has_model:
            self.talk.wake_up()
            self._type("text", self.looked.text)

    def action_add(self) -> None:
        """Type a clamp."""
        self._editing = False
        self._type("clamp", "")

    def action_edit(self) -> None:
        """Type the clamp under the cursor anew."""
        if self.tray.present is not None:
            self._editing = True
            self._type("clamp", str(self.tray.present.clamp))

    def action_sweep(self) -> None:
        """Type a row of strengths for the clamp under the cursor."""
        if self.tray.present is not None and self.has_model:
            self._type("sweep", strengths(self.tray.present.clamp, self.session.maximum))

    def action_recipe(self) -> None:
        """Type where the recipe is to be kept."""
        self._type("recipe", free_name(Path(), self.run.name, ".recipe.json"))

    def action_export(self) -> None:
        """Type where the texts are to be kept."""
        self._type("export", free_name(Path(), self.run.name, ".txt"))

    def action_settings(self) -> None:
        """Type how tokens are drawn."""
        self._type("settings", str(self.shown.sampling))

    def _type(self, kind: LiveKind, text: str) -> None:
        self.type_into(kind, text)
        self.renew()

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
        self.renew()

    def _take_text(self, kind: str, text: str) -> None:
        if kind == "prompt":
            self.shown.prompt = text
            self._write()
        elif kind == "text":
            self.read(text)
        elif kind == "sweep":
            self._sweep(text.strip())
        elif kind in ("recipe", "export") and text.strip():
            self._keep_file(Path(text.strip()).expanduser(), kind)
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
            self.follow_tray()

    def _sweep(self, text: str) -> None:
        """Write a text for each strength, the other clamps as they are."""
        feature = parse_sweep(text)[0].feature
        if self._may_run():
            others = [held for held in self.tray.held if held.on and held.clamp.feature != feature]
            recipe = replace(self._recipe(), clamps=tuple(str(held.clamp) for held in others))
            self.talk.swept, self.shown.sweeping = None, True
            self.talk.sweep(recipe, text)

    def _keep_file(self, path: Path, kind: str) -> None:
        recipe, writing = self.talk.recipe or self._recipe(), self.talk.writing
        if kind == "export":
            export(path, recipe, writing, self.run.store.vocabulary)
            self.tell(f"both texts are in {path}")
        else:
            self.tell(f"writing {path}")
            self._save_recipe(path, self._recipe())

    @work(thread=True, exit_on_error=False)
    def _save_recipe(self, path: Path, recipe: Recipe) -> None:
        """Away from the keys: the digest reads all of the dictionary."""
        try:
            save_recipe(path, recipe, self.folder.sae)
            said = f"the recipe is in {path}: monosem generate --recipe {path}"
        except MonosemError as error:
            said = " · ".join(filter(None, (error.what, error.hint)))
        self.app.call_from_thread(self.tell, said)


def _sampling(text: str) -> Sampling:
    try:
        return Sampling().changed(text)
    except MonosemError:
        return Sampling()
