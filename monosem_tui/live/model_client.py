"""Client state machine for the model server: sends requests, applies answers.

A request is sent only after those it depends on are answered, so a refusal changes nothing: the old text stays until
the new prompt is accepted, and is cut only after the server has branched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from itertools import count
from pathlib import Path, PurePath
from time import monotonic
from typing import Protocol

from monosem_tui.live.process import ConnectionEnd, ProcessMessage
from monosem_tui.live.transcript import Transcript, WatchedActs, reads_once
from store.live import wire
from store.live.model_outputs import ClampSweep
from store.live.recipe import Recipe


class Phase(Enum):
    """State of the model server; the values are shown."""

    NONE = "not loaded"
    LOADING = "loading"
    RESTING = "ready"
    WRITING = "writing"
    BUSY = "at work"
    DEAD = "stopped"

    @property
    def waits(self) -> bool:
        """Whether a person waits for it."""
        return self in (Phase.LOADING, Phase.BUSY)


class ModelLink(Protocol):
    """A connection to the model server."""

    def tell(self, request: wire.Request, /) -> None:
        """Send a request."""

    def take(self) -> list[ProcessMessage]:
        """Return the messages received since the last call."""

    def close(self) -> None:
        """End the connection."""


class ModelClient:
    """A screen's client of the model server, over any number of connections."""

    clock = staticmethod(monotonic)

    def __init__(self, run: Path, start: Callable[[], ModelLink], *, comes_back: bool = False) -> None:
        """Prepare; nothing is started yet.

        Args:
            run: the run's folder.
            start: opens a connection to a server.
            comes_back: whether the server may hold a text from an earlier session.
        """
        self._run, self._start = run, start
        self.attached = comes_back
        """Whether the server outlives the terminal."""
        self._numbers = count(1)
        self._process: ModelLink | None = None
        self._load = self._starting = self._going = self._branching = self._changing = self._asked = self._recalling = 0
        self._watching = self._ranking = 0
        self._then: Callable[[], None] | None = None
        self._after_start: int | None = None
        self.recipe: Recipe | None = None
        """The recipe of the text on the screen, with its last clamps."""
        self.begun: Recipe | None = None
        """The recipe with which the text on the screen was started."""
        self._wanted: Recipe | None = None
        """The recipe of a text that the server has not started yet."""
        self._clamps: tuple[str, ...] = ()
        self._in_force: tuple[str, ...] | None = ()
        """The clamps that the server applies; None where unknown."""
        self.is_open = False
        """Whether the server still holds the text on the screen."""
        self._phase, self._since = Phase.NONE, 0.0
        self.ready: wire.Ready | None = None
        self.working: wire.Working | None = None
        """Progress of long work."""
        self.writing = Transcript()
        self.inspected: wire.Inspected | None = None
        self.effects: wire.Inspected | None = None
        """The same text with ablation effects of each token's strongest features."""
        self._ablating = False
        self.swept: ClampSweep | None = None
        self.problem = ""
        """Why the server is gone or what failed last, until the next request."""
        self.recalled = False
        """Whether an earlier session left the text with the server; the caller that takes over its prompt unsets it."""
        self.said = ""
        """A sentence to show once; the caller that shows it empties it."""

    @property
    def phase(self) -> Phase:
        """The state of the server."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase, self._since = phase, self.clock()

    @property
    def waited(self) -> int:
        """Whole seconds for which it has been in its state."""
        return int(self.clock() - self._since)

    def belongs(self, process: object) -> bool:
        """Return whether this is the present connection."""
        return process is self._process

    # Requests

    def wake_up(self) -> None:
        """Load the model before it is needed."""
        if self.phase in (Phase.NONE, Phase.DEAD):
            self._with_model(lambda: None)

    def write(self, recipe: Recipe, tokens: int | None = None) -> None:
        """Start a text; the present one stops."""
        self._with_model(lambda: self._begin(recipe, tokens) if self._can_be(recipe) else None)

    def can_go_on(self, recipe: Recipe) -> bool:
        """Return whether the text on the screen has these settings (clamps aside) and is incomplete."""
        known, wanted = self.recipe, recipe
        same = known is not None and _apart_from_clamps(known) == _apart_from_clamps(wanted)
        return self.is_open and same and not self.writing.complete and self.phase is not Phase.DEAD

    def go(self, tokens: int | None = None) -> None:
        """Continue the text."""
        self.problem = ""
        self._going = self._tell(lambda number: wire.Go(id=number, tokens=tokens))
        self.phase = Phase.WRITING

    def pause(self) -> None:
        """Pause the text."""
        self._tell(lambda number: wire.Pause(id=number))

    def branch(self, token: int) -> None:
        """Go back to a token and continue from there with the present clamps."""
        self._branching = self._tell(lambda number: wire.Branch(id=number, token=token))

    def change(self, clamps: tuple[str, ...]) -> None:
        """Change the clamps from the next token on."""
        self._clamps = clamps
        if self.is_open and clamps != self._in_force and not self._starting:
            self._in_force = clamps
            self._changing = self._tell(lambda number: wire.ChangeClamps(id=number, clamps=clamps))

    def watch(self, feature: int | None) -> None:
        """Have the activations of a feature sent along, or of none; nothing happens if they are."""
        if feature != self.writing.watched.feature:
            self.writing.watched = WatchedActs(feature)
            self._ask_acts()

    def _ask_acts(self) -> None:
        if self.is_open and not self._starting:
            feature = self.writing.watched.feature
            self._watching = self._tell(lambda number: wire.WatchFeature(id=number, feature=feature))

    def inspect(self, text: str, top: int, *, ablate: bool, chat: bool = False) -> None:
        """Inspect a text; with `chat`, a user's turn or a JSON list of messages."""

        def ask(number: int) -> wire.Inspect:
            self._ablating = ablate
            return wire.Inspect(id=number, text=text, top=top, ablate=ablate, chat=chat)

        self._with_model(lambda: self._busy(ask))

    def sweep(self, recipe: Recipe, strengths: str) -> None:
        """Generate a text per strength of a sweep."""

        def request(number: int) -> wire.StartSweep:
            return wire.StartSweep(id=number, recipe=replace(recipe, sweep=strengths))

        self._with_model(lambda: self._busy(request) if self._can_be(recipe) else None)

    def stop(self) -> None:
        """Cancel the running request; during loading, the request that waits for it."""
        if self.phase is Phase.LOADING:
            self._then = None
        elif self.phase is Phase.BUSY:
            self._tell(lambda number: wire.Stop(id=number))
            self.is_open = False

    def restart(self) -> None:
        """Start another connection; the text stays on the screen."""
        self.close()
        self.phase, self.problem = Phase.NONE, ""
        self.wake_up()

    def close(self) -> None:
        """Close the connection."""
        if self._process is not None:
            self._process.close()
        self._lose(Phase.NONE)

    # Answers

    def hear(self) -> None:
        """Process all answers received so far."""
        if self._process is not None:
            for message in self._process.take():
                self._take(message)

    def _take(self, message: ProcessMessage) -> None:
        match message:
            case ConnectionEnd():
                self._lose(Phase.NONE if message.idle else Phase.DEAD)
                self.problem = message.why
            case wire.Working():
                self.working = message
            case wire.Ready():
                self.ready, self.phase, self.working = message, Phase.RESTING, None
                if self.attached:
                    self._recalling = self._tell(lambda number: wire.Recall(id=number))
                then, self._then = self._then, None
                if then is not None:
                    then()
            case wire.Recalled() if message.id == self._recalling:
                self._take_recalled(message)
            case wire.Started() if message.id == self._starting:
                self._take_started(message)
            case wire.Stepped() if message.id == self._going:
                self.writing.take(message.step)
                if len(self.writing) == 1 and self.writing.unclamped:
                    self._ranking = self._tell(lambda number: wire.RankPrompt(id=number))
            case wire.Watched() if message.id == self._watching:
                self.writing.watched.take(message)
            case wire.PromptRanked() if message.id == self._ranking:
                self.writing.prompt_features = message.features
            case wire.Rested() if message.id == self._going:
                self.writing.rest(message)
                self._going = 0
                self._at_rest()
            case wire.Changed():
                self._take_changed(message)
            case wire.Branched() if message.id == self._branching:
                self._branching = 0
                self.writing.cut(message.token)
                if self.recipe is not None and self._in_force is not None:
                    self.recipe = replace(self.recipe, clamps=self._in_force)
                    self.writing.obey(message.token, self._in_force)
                self.go()
            case wire.Inspected() if message.id == self._asked:
                self.phase, self.working = Phase.RESTING, None
                if self._ablating:
                    self.effects = message
                else:
                    self.inspected, self.effects = message, None
            case wire.Swept() if message.id == self._asked:
                self.swept, self.phase, self.working = message.sweep, Phase.RESTING, None
            case wire.Failed():
                self._take_failure(message)
            case _:
                pass

    def _take_started(self, message: wire.Started) -> None:
        self._starting, self.is_open = 0, True
        self.recipe = self.begun = self._wanted
        self._renew(message.prompt, message.clamps)
        self.change(self._clamps)
        self.go(self._after_start)

    def _take_recalled(self, message: wire.Recalled) -> None:
        """Show the text that was left with the server, as if it had been requested here."""
        self._recalling = 0
        recipe = message.recipe
        if recipe is None or self._starting:
            return
        self.is_open, self._going = True, message.id
        first, *later = message.obeyed or [wire.ClampStretch(token=0, clamps=recipe.clamps)]
        self.recipe = self._wanted = recipe
        self.begun = replace(recipe, clamps=first.clamps)
        self.recalled = True
        self._clamps = self._in_force = recipe.clamps
        self.phase = Phase.WRITING
        self._renew(message.prompt, first.clamps)
        for stretch in later:
            self.writing.obey(stretch.token, stretch.clamps)

    def _renew(self, prompt: tuple[int, ...], clamps: Sequence[str]) -> None:
        """Begin with an empty text; the same feature's activations are sent along."""
        self.writing = Transcript(prompt=prompt, watched=WatchedActs(self.writing.watched.feature))
        self.writing.obey(0, clamps)
        if self.writing.watched.feature is not None:
            self._ask_acts()

    def _take_changed(self, message: wire.Changed) -> None:
        if self.writing.complete:  # no token will obey them, so they are not those of the text
            self.said = "the text is complete: ctrl+g writes it again with these clamps"
            return
        before = self.recipe.clamps if self.recipe is not None else ()
        if self.recipe is not None:
            self.recipe = replace(self.recipe, clamps=message.clamps)
        self.said = f"takes effect at token {message.from_token + 1}"
        changed = {*before} ^ {*message.clamps}
        self.writing.obey(message.from_token, message.clamps)
        if changed and all(map(reads_once, changed)):
            self.said = "the prompt has been read already: p and enter write anew"

    def _take_failure(self, message: wire.Failed) -> None:
        self.problem = " · ".join(filter(None, (message.what, message.hint)))
        self.working = None
        if message.id == self._load:
            self.phase, self.ready, self._then, self._load = Phase.NONE, None, None, 0
        elif message.id == self._going:  # the server has dropped the text
            self._going, self.is_open = 0, False
            self._at_rest()
        elif message.id == self._starting:
            self._starting = 0
        elif message.id == self._branching:
            self._branching = 0
        elif message.id == self._changing:
            self._in_force = None  # refused: the next change is sent in any case
        elif message.id == self._asked:
            self.phase = Phase.RESTING

    def _at_rest(self) -> None:
        if self.phase is Phase.WRITING:
            self.phase = Phase.RESTING

    # Sending

    def _with_model(self, then: Callable[[], None]) -> None:
        self.problem = ""
        if self.phase in (Phase.NONE, Phase.DEAD):
            if self._process is None:
                self._process = self._start()
            self.phase = Phase.LOADING
            self._load = self._tell(lambda number: wire.Load(id=number, run=str(self._run)))
        if self.phase is Phase.LOADING:
            self._then = then
        else:
            then()

    def _begin(self, recipe: Recipe, tokens: int | None) -> None:
        if self.phase is Phase.WRITING:
            self.pause()
        self._wanted, self._after_start = recipe, tokens
        self._clamps = self._in_force = recipe.clamps
        self._starting = self._tell(lambda number: wire.Start(id=number, recipe=recipe))

    def _can_be(self, recipe: Recipe) -> bool:
        """Return whether the model can read such a prompt; report why not."""
        if recipe.chat and self.ready is not None and not self.ready.chat:
            self.problem = no_template(self.ready)
            return False
        return True

    def _busy(self, request: Callable[[int], wire.Request]) -> None:
        if self.phase is Phase.WRITING:
            self.pause()
        self._asked = self._tell(request)
        self.phase, self.working = Phase.BUSY, None

    def _tell(self, request: Callable[[int], wire.Request]) -> int:
        number = next(self._numbers)
        if self._process is not None:
            self._process.tell(request(number))
        return number

    def _lose(self, phase: Phase) -> None:
        """Record that the server is gone; the texts stay."""
        self.phase, self._process, self.ready, self.working, self._then = phase, None, None, None, None
        self._load = self._starting = self._going = self._branching = self._changing = self._asked = self._recalling = 0
        self.is_open = False


def no_template(ready: wire.Ready) -> str:
    """Return why a model has no chats."""
    return f"the tokenizer of {PurePath(ready.model).name} has no chat template: C takes the text as it is"


def _apart_from_clamps(recipe: Recipe) -> Recipe:
    return replace(recipe, clamps=(), sweep="", samples=1, dictionary="")
