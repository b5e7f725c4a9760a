"""Writing: a prompt continued with and without clamps, from the start, from a token, or under a row of strengths."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.live.model_client import Phase, no_template
from monosem_tui.live.sampling_text import DEFAULT, changed, in_words, written
from monosem_tui.live.tray import strengths
from monosem_tui.model.session_state import LiveMemory, Memory
from monosem_tui.pages.live_contents import Shown
from monosem_tui.pages.live_page import live_lines, pointed_words
from monosem_tui.pages.live_paint import PaintKind
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.live.tray import ClampTray
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.live_view import CellView
from store.files.errors import MonosemError
from store.live.clamp import parse_sweep
from store.live.recipe import Recipe
from store.live.sampling import Sampling


class WritingControl(ScreenPart):
    """The page of prompt and texts, and what is written next."""

    def __init__(self, connection: ModelConnection, shown: Shown, tray: ClampTray, front: Callable[[], object]) -> None:
        """Begin with the prompt and the settings of the last session.

        Args:
            connection: to the model.
            shown: what the page is made of.
            tray: checks the clamps of recipes.
            front: brings the page to the front.
        """
        self._connection, self._host, self._talk = connection, connection.host, connection.talk
        self.shown, self._tray, self._front = shown, tray, front
        kept = self._host.session.memory.live
        shown.prompt, shown.sampling = kept.prompt, _sampling(kept.sampling)
        shown.chat, shown.system = kept.chat, kept.system
        self.view = CellView(
            self._host.session.palette, partial(live_lines, shown), partial(pointed_words, shown), shown=True
        )
        self._strengths, self._swept_feature = "", -1
        self.needs = {
            Need.TEXT: lambda: len(self._talk.writing) > 0,
            Need.FORK: lambda: self._talk.writing.fork is not None,
            Need.TOKEN: lambda: shown.cursor is not None,
        }

    @property
    def here(self) -> Where | None:
        """The keys are here while the page is shown."""
        return Where.WRITING if self.view.display else None

    def position(self) -> str:
        """Return the amount written and the sampling."""
        if not self.view.display:
            return ""
        # Not while it writes: the bottom line would cost more a token than all the rest.
        tokens = 0 if self._talk.phase is Phase.WRITING else len(self._talk.writing)
        return " · ".join([*([f"{count(tokens)} tokens"] if tokens else []), in_words(self.shown.sampling)])

    def remembered(self, memory: Memory) -> Memory:
        """Keep prompt, clamps and settings."""
        shown = self.shown
        kept = LiveMemory(
            prompt=shown.prompt,
            clamps=shown.tray.written(),
            sampling=written(shown.sampling),
            chat=shown.chat,
            system=shown.system,
        )
        return replace(memory, live=kept)

    def redraw(self) -> None:
        """Draw the page; the cursor stays on the text, and the feature that paints it is the one that is wanted."""
        self._talk.watch(self.shown.paint.of(self.shown.tray))
        if self.shown.cursor is not None:
            self.shown.cursor = max(0, min(self.shown.cursor, len(self._talk.writing) - 1))
        self.view.redraw()

    def way_back(self) -> Way | None:
        """Stop what runs, show this page, close the sweep, follow the text to its end again."""
        if self._talk.phase in (Phase.WRITING, Phase.BUSY):
            return self.action_write
        follow = self._follow_end if self.shown.cursor is not None else None
        return self.cover() or follow

    def cover(self) -> Way | None:
        """Show this page, close the sweep."""
        if not self.view.display:
            return self._front
        return self._close_sweep if self.shown.sweeping else None

    def interruption(self) -> Way | None:
        """Stop what the model does."""
        at_work = self._talk.phase in (Phase.WRITING, Phase.BUSY, Phase.LOADING)
        return self.action_write if at_work else None

    def _close_sweep(self) -> None:
        self.shown.sweeping = False
        self._connection.redraw()

    def _follow_end(self) -> None:
        self.shown.cursor = None
        self._connection.redraw()

    # Writing

    def recipe(self) -> Recipe:
        """Return the recipe of the next text, or of the sweep that is shown."""
        recipe = self._recipe()
        return replace(recipe, sweep=self._strengths, clamps=self._others()) if self.shown.sweeping else recipe

    def adopt(self, recipe: Recipe) -> None:
        """Take prompt, clamps and settings of a recipe, and show the page.

        Raises:
            MonosemError: this run cannot have one of its clamps; everything stays as it was.
        """
        shown = self.shown
        was, shown.chat = shown.chat, recipe.chat
        try:
            clamps = [self._tray.checked(clamp) for clamp in recipe.clamps]
        except MonosemError:
            shown.chat = was
            raise
        shown.prompt, shown.system, shown.sampling = recipe.prompt, recipe.system, recipe.sampling
        shown.tray.take(clamps)
        self._connection.forget_change()
        self._front()

    def replay(self, recipe: Recipe) -> None:
        """Write, or sweep, what an adopted recipe says."""
        if recipe.sweep:
            self._sweep(recipe.sweep)
        else:
            self._write()

    def take_over(self) -> None:
        """Take prompt, clamps and settings of the text that was left with the server."""
        self._talk.recalled = False
        recipe = self._talk.begun
        if recipe is None:
            return
        shown = self.shown
        shown.prompt, shown.chat, shown.system = recipe.prompt, recipe.chat, recipe.system
        shown.sampling = recipe.sampling
        with suppress(MonosemError):  # of a run of another width
            shown.tray.take([self._tray.checked(clamp) for clamp in recipe.clamps])
        self._connection.forget_change()

    def _recipe(self) -> Recipe:
        shown = self.shown
        return Recipe(
            prompt=shown.prompt,
            chat=shown.chat,
            system=shown.system if shown.chat else "",
            clamps=shown.tray.clamps,
            sampling=shown.sampling,
        )

    def _may_run(self) -> bool:
        """Return whether there is a model, and a prompt for it; show what is missing."""
        if not self._connection.has_model:
            return False
        ready, roles = self._talk.ready, self.shown.tray.roles
        if not self.shown.prompt:
            self._host.tell("there is no prompt: p types one")
        elif self.shown.chat and ready is not None and not ready.chat:
            self._host.tell(no_template(ready))
        elif roles and not self.shown.chat:
            turn = f"@{roles[0]} is a turn of a chat, and the prompt is not a chat"
            self._host.tell(f"{turn}: C makes it one, @ moves the clamp")
        else:
            return True
        return False

    def _write(self, tokens: int | None = None) -> None:
        """Write from the prompt on."""
        if self._may_run():
            self.shown.cursor, self.shown.sweeping = None, False
            self._talk.write(self._recipe(), tokens)
            self._connection.redraw()

    def action_write(self) -> None:
        """Write, write on, or stop."""
        if self._talk.phase is Phase.WRITING:
            self._talk.pause()
        elif self._talk.phase in (Phase.BUSY, Phase.LOADING):
            self._talk.stop()
            busy = self._talk.phase is Phase.BUSY
            self._host.tell("stopped" if busy else "nothing will be written once it is loaded")
        elif self._talk.can_go_on(self._recipe()):
            self._talk.go()
        else:
            self._write()
        self._connection.redraw()

    def action_step(self) -> None:
        """Pause, or write one more token."""
        if self._talk.phase is Phase.WRITING:
            self._talk.pause()
        elif self._talk.phase in (Phase.RESTING, Phase.NONE, Phase.DEAD):
            if self._talk.can_go_on(self._recipe()):
                self._talk.go(1)
            elif self._talk.writing.complete:
                self._host.tell("both texts are complete: ctrl+g writes anew, h and b write on from a token")
            else:
                self._write(1)

    def action_token(self, steps: int) -> None:
        """Go to another token of the text; beyond the last one, follow the end again."""
        last = len(self._talk.writing) - 1
        at = self.shown.cursor
        wanted = (last if steps < 0 else 0) if at is None else at + steps
        self.shown.cursor = None if wanted > last else max(0, wanted)
        self._connection.redraw()

    def point(self, x: int, y: int) -> None:
        """Go to the token at a cell of the page."""
        token = self.shown.token_at(x, y, behind=True)
        if token is not None:
            self.shown.cursor = token
            self._connection.redraw()

    def action_paint(self) -> None:
        """Paint the texts by something else."""
        self.shown.paint.turn(self.shown.tray)
        self._connection.redraw()

    def action_paint_by(self) -> None:
        """Type the feature to paint by."""
        feature = self.shown.paint.feature
        self._connection.ask("feature", "" if feature is None else str(feature), self._take_paint, selected=True)

    def _take_paint(self, text: str) -> None:
        """Paint by a feature; without a number, by that of the clamp under the cursor."""
        number, d_sae = text.strip(), self._connection.run.store.d_sae
        if number and not (number.isdecimal() and len(number) < 10 and int(number) < d_sae):
            raise MonosemError(f"{number!r} is not a feature of this run", f"They are 0 to {d_sae - 1}.")
        self.shown.paint.feature = int(number) if number else None
        self.shown.paint.kind = PaintKind.FEATURE

    def action_fork(self) -> None:
        """Go to the first token in which the texts differ."""
        self.shown.cursor = self._talk.writing.fork
        self._connection.redraw()

    def action_branch(self) -> None:
        """Write on from the token under the cursor, under the present clamps."""
        at = self.shown.cursor
        if at is None:
            return
        if not (self._talk.is_open and self._talk.phase in (Phase.WRITING, Phase.RESTING)):
            self._host.tell("the model holds this text no more: ctrl+g writes it anew")
            return
        self.shown.cursor = None
        self._talk.branch(at)
        self._host.tell(f"branched at token {at + 1}")

    def action_seed(self) -> None:
        """Write again with another seed."""
        sampling = self.shown.sampling
        if sampling.temperature == 0:
            self._host.tell("greedy: the most probable token is always taken, whatever the seed; g sets a temperature")
            return
        self.shown.sampling = replace(sampling, seed=sampling.seed + 1)
        self._write()

    def action_chat(self) -> None:
        """Take the prompt as the user's turn of a chat, or as it is."""
        shown, ready = self.shown, self._talk.ready
        if not shown.chat and ready is not None and not ready.chat:
            self._host.tell(no_template(ready))
            return
        shown.chat = not shown.chat
        self._host.tell(
            "the prompt is a user's turn, by the model's chat template; S types what the system says"
            if shown.chat
            else "the prompt is taken as it is"
        )
        self._connection.redraw()

    # Typing

    def action_prompt(self) -> None:
        """Type a prompt; the model is loaded meanwhile."""
        if self._connection.has_model:
            self._talk.wake_up()
            self._connection.ask("prompt", self.shown.prompt, self._take_prompt, selected=True)

    def _take_prompt(self, text: str) -> None:
        self.shown.prompt = text
        self._write()

    def action_system(self) -> None:
        """Type the system prompt of a chat."""
        self._connection.ask("system", self.shown.system, self._take_system)

    def _take_system(self, text: str) -> None:
        shown = self.shown
        shown.system, shown.chat = text, shown.chat or bool(text)
        self._host.tell("system prompt applies to the next text" if text else "no system prompt")

    def action_settings(self) -> None:
        """Type how tokens are drawn."""
        self._connection.ask("settings", written(self.shown.sampling), self._take_settings)

    def _take_settings(self, text: str) -> None:
        self.shown.sampling = changed(self.shown.sampling, text)
        self._host.tell(f"{in_words(self.shown.sampling)}, from the next text on")

    def action_sweep(self) -> None:
        """Type a row of strengths for the clamp under the cursor."""
        present = self.shown.tray.present
        if present is not None and self._connection.has_model:
            text = strengths(present.clamp, self._host.session.maximum)
            self._connection.ask("sweep", text, lambda text: self._sweep(text.strip()))

    def _sweep(self, text: str) -> None:
        """Write a text for each strength, the other clamps as they are."""
        feature = parse_sweep(text)[0].feature
        if self._may_run():
            self._strengths, self._swept_feature = text, feature
            self._talk.swept, self.shown.sweeping = None, True
            self._talk.sweep(replace(self._recipe(), clamps=self._others()), text)

    def _others(self) -> tuple[str, ...]:
        """Clamps in force, without those of the feature that is swept."""
        held = (one.clamp for one in self.shown.tray.held if one.on and one.clamp.feature != self._swept_feature)
        return tuple(map(str, held))


def _sampling(text: str) -> Sampling:
    try:
        return changed(DEFAULT, text)
    except MonosemError:
        return DEFAULT
