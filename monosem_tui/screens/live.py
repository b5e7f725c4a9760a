"""The live model: a prompt continued with and without clamps, which keys change while it is written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from textual.widget import Widget

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.live.model_client import Phase, no_template
from monosem_tui.live.sampling_text import DEFAULT, changed, in_words, written
from monosem_tui.live.tray import strengths
from monosem_tui.model.session_state import LiveMemory, Memory
from monosem_tui.screens.model_connection import Page
from monosem_tui.screens.recipes import KeepingScreen
from monosem_tui.screens.session import Session
from monosem_tui.widgets.filter_input import LiveKind, Typed
from monosem_tui.widgets.keys import bindings
from monosem_tui.widgets.live_view import LiveView
from store.files.errors import MonosemError
from store.live.clamp import parse_sweep
from store.live.recipe import Recipe
from store.live.sampling import Sampling


class LiveScreen(KeepingScreen):
    """One page; its model lives in a process of its own, from the first time that it is needed."""

    VIEW, PLACE = "live", Where.LIVE
    BINDINGS = bindings(Where.LIVE)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        kept, shown = session.memory.live, self.shown
        shown.prompt, shown.sampling = kept.prompt, _sampling(kept.sampling)
        shown.chat, shown.system = kept.chat, kept.system
        self.view = LiveView(session.palette, self.shown)
        self._strengths, self._swept_feature = "", -1

    @property
    def here(self) -> Where:
        """What the page is used for now."""
        return Where.RECIPES if self.choosing else Where.INSPECT if self.looking else Where.WRITING

    def body(self) -> Iterable[Widget]:
        """The page of each mode."""
        yield self.view
        yield self.inspected
        yield self.kept_view

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.view)
        self.tell()

    def remembered(self, memory: Memory) -> Memory:
        """Prompt, clamps and settings."""
        shown = self.shown
        kept = LiveMemory(
            prompt=shown.prompt,
            clamps=self.tray.written(),
            sampling=written(shown.sampling),
            chat=shown.chat,
            system=shown.system,
        )
        return replace(memory, live=kept)

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.CLAMPS:
            return not self.tray.held
        if need is Need.TEXT:
            return not len(self.talk.writing)
        if need is Need.FORK:
            return self.talk.writing.fork is None
        if need is Need.RECIPES:
            return not self.recipes.kept
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
        elif self.looking or self.choosing:
            self.show_page("writing")
        elif self.shown.sweeping:
            self.shown.sweeping = False
            self.renew()
        elif self.shown.cursor is not None:
            self.shown.cursor = None
            self.renew()
        else:
            super().go_back()

    def position(self) -> str:
        """How much has been written, and how; or which token or recipe is looked at."""
        if self.choosing:
            of = len(self.recipes.kept)
            return f"{self.recipes.cursor + 1} of {count(of)}" if of else ""
        if self.looking:
            reads = len(self.looked.reads)
            return f"token {self.looked.token + 1} of {count(reads)}" if reads else ""
        # Not while it writes: the bottom line would cost more a token than all the rest.
        tokens = 0 if self.talk.phase is Phase.WRITING else len(self.talk.writing)
        return " · ".join([*([f"{count(tokens)} tokens"] if tokens else []), in_words(self.shown.sampling)])

    def renew(self) -> None:
        """Draw what has changed."""
        if self.talk.recalled:
            self._take_over()
        if self.looking:
            self.look_again()
        elif self.choosing:
            self.kept_view.renew()
        else:
            if self.shown.cursor is not None:
                self.shown.cursor = max(0, min(self.shown.cursor, len(self.talk.writing) - 1))
            self.view.renew()
        self.retell()

    def show_page(self, page: Page) -> None:
        """Another page of this screen."""
        pages: dict[Page, Widget] = {"writing": self.view, "inspect": self.inspected, "recipes": self.kept_view}
        for name, widget in pages.items():
            widget.display = name == page
        self.set_focus(pages[page])
        self.tell()
        self.renew()

    def action_inspect(self) -> None:
        """Any text through the features, or back to writing."""
        if self.looking:
            self.show_page("writing")
        else:
            self.show_page("inspect")
            self.begin_looking(self.shown.prompt)

    # Transcript

    def recipe(self) -> Recipe:
        """What would be written now, or the sweep that is shown."""
        recipe = self._recipe()
        return replace(recipe, sweep=self._strengths, clamps=self._others()) if self.shown.sweeping else recipe

    def replay(self, recipe: Recipe) -> None:
        """Write what a recipe says, or sweep."""
        if recipe.sweep:
            self._sweep(recipe.sweep)
        else:
            self._write()

    def _take_over(self) -> None:
        """The text that was left with the process brings its prompt, clamps and settings along."""
        self.talk.recalled = False
        recipe = self.talk.begun
        if recipe is None:
            return
        shown = self.shown
        shown.prompt, shown.chat, shown.system = recipe.prompt, recipe.chat, recipe.system
        shown.sampling = recipe.sampling
        with suppress(MonosemError):  # of a run of another width
            self.tray.take([self.checked(clamp) for clamp in recipe.clamps])
        self.forget_change()

    def _recipe(self) -> Recipe:
        shown = self.shown
        system = shown.system if shown.chat else ""
        return Recipe(
            prompt=shown.prompt, chat=shown.chat, system=system, clamps=self.tray.clamps, sampling=shown.sampling
        )

    def _may_run(self) -> bool:
        """Whether there is a model, and a prompt for it; says what is missing."""
        if not self.has_model:
            return False
        ready, roles = self.talk.ready, self.tray.roles
        if not self.shown.prompt:
            self.tell("there is no prompt: p types one")
        elif self.shown.chat and ready is not None and not ready.chat:
            self.tell(no_template(ready))
        elif roles and not self.shown.chat:
            self.tell(f"@{roles[0]} is a turn of a chat, and the prompt is none: C makes it one, @ moves the clamp")
        else:
            return True
        return False

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
            elif self.talk.writing.complete:
                self.tell("both texts are complete: ctrl+g writes anew, h and b write on from a token")
            else:
                self._write(1)

    def action_token(self, steps: int) -> None:
        """To another token of the text; beyond the last one, follow the end again."""
        last = len(self.talk.writing) - 1
        at = self.shown.cursor
        wanted = (last if steps < 0 else 0) if at is None else at + steps
        self.shown.cursor = None if wanted > last else max(0, wanted)
        self.renew()

    def action_fork(self) -> None:
        """To the first token in which the texts differ."""
        self.shown.cursor = self.talk.writing.fork
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

    def action_chat(self) -> None:
        """The prompt as the user's turn of a chat, or as it is."""
        shown, ready = self.shown, self.talk.ready
        if not shown.chat and ready is not None and not ready.chat:
            self.tell(no_template(ready))
            return
        shown.chat = not shown.chat
        self.tell(
            "the prompt is a user's turn, by the model's chat template; S types what the system says"
            if shown.chat
            else "the prompt is taken as it is"
        )
        self.renew()

    # Typing

    def action_prompt(self) -> None:
        """Type a prompt; the model is loaded meanwhile."""
        if self.has_model:
            self.talk.wake_up()
            self.type_text("prompt", self.shown.prompt)

    def action_system(self) -> None:
        """Type what the system says in a chat."""
        self.type_text("system", self.shown.system)

    def action_sweep(self) -> None:
        """Type a row of strengths for the clamp under the cursor."""
        if self.tray.present is not None and self.has_model:
            self.type_text("sweep", strengths(self.tray.present.clamp, self.session.maximum))

    def action_settings(self) -> None:
        """Type how tokens are drawn."""
        self.type_text("settings", written(self.shown.sampling))

    def type_text(self, kind: LiveKind, text: str) -> None:
        """Have something typed."""
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
                self.take_text(kind, text)
            except MonosemError as error:
                self.tell(" · ".join(filter(None, (error.what, error.hint))))
        self.renew()

    def take_text(self, kind: str, text: str) -> None:
        """What was typed, by its kind."""
        shown = self.shown
        if kind == "prompt":
            shown.prompt = text
            self._write()
        elif kind == "system":
            shown.system, shown.chat = text, shown.chat or bool(text)
            self.tell("the system says so from the next text on" if text else "the system says nothing")
        elif kind == "sweep":
            self._sweep(text.strip())
        elif kind == "settings":
            shown.sampling = changed(shown.sampling, text)
            self.tell(f"{in_words(shown.sampling)}, from the next text on")
        else:
            super().take_text(kind, text)

    def _sweep(self, text: str) -> None:
        """Write a text for each strength, the other clamps as they are."""
        feature = parse_sweep(text)[0].feature
        if self._may_run():
            self._strengths, self._swept_feature = text, feature
            self.talk.swept, self.shown.sweeping = None, True
            self.talk.sweep(replace(self._recipe(), clamps=self._others()), text)

    def _others(self) -> tuple[str, ...]:
        """Clamps in force, those of the feature that is swept apart."""
        held = (one.clamp for one in self.tray.held if one.on and one.clamp.feature != self._swept_feature)
        return tuple(map(str, held))


def _sampling(text: str) -> Sampling:
    try:
        return changed(DEFAULT, text)
    except MonosemError:
        return DEFAULT
