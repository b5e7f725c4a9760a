"""Sends each key, and each click on a key's hint, to the text that is typed, to a question, or to its action."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, NamedTuple, Protocol, cast

from textual import events

from monosem_tui.keys.actions import ASKING, TYPING, Action, Where, shown_key
from monosem_tui.keys.table import at, no_use, pressed, textual_key
from monosem_tui.screens.key_sequence import KeyHost, KeySequence
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.typing_line import TypingLine

ALWAYS = ("ctrl+z", "ctrl+l", "ctrl+q")
"""Suspend, redraw and quit work even while typing, as in shells and pagers."""
LEAVE = "ctrl+c again quits"


class Question(NamedTuple):
    """A question that one key answers."""

    where: Where
    """The place of the actions that answer it."""
    what: str
    """Its subject, for the end of the bottom line."""
    answer: Callable[[Action], object]


class DispatchHost(KeyHost, Protocol):
    """The screen whose keys are dispatched."""

    PLACE: ClassVar[Where]
    line: TypingLine
    parts: tuple[ScreenPart, ...]
    said: str
    """The sentence in the bottom line; empty where the keys stand there."""

    @property
    def is_current(self) -> bool:
        """Whether it is the screen that is shown."""

    def tell(self, said: str = "") -> None:
        """Show a sentence in the bottom line; without one, the keys."""

    def run_owned(self, action: Action) -> Awaitable[object]:
        """Run an action of its owner."""


class KeyDispatch:
    """Takes keys in their order."""

    def __init__(self, host: DispatchHost, pause: float) -> None:
        """Prepare.

        Args:
            host: the screen.
            pause: seconds for which a key is held back that may begin something longer.
        """
        self._host = host
        self.begun = KeySequence(host, self.act, pause)
        self.question: Question | None = None
        """The question that the next key answers."""
        self._interrupts = 0
        """Times in a row that ctrl+c was pressed."""
        self._leaving = False
        """Whether the next of them quits."""

    async def take(self, event: events.Key) -> bool:
        """Take a key; show why it does nothing, where it does not.

        Returns:
            Whether the key means something here.
        """
        host = self._host
        if event.key in ALWAYS:
            action = pressed(event.key, at(Where.EVERYWHERE))
            if action is not None:
                await host.run_owned(action)
            return action is not None
        if host.line.typing:
            if host.said:
                host.tell()
            host.line.feed(event.key, event.character)
            return True
        if self.question is not None:
            self._answer(pressed(event.key, host.reach))
            return True
        self._interrupts = self._interrupts + 1 if event.key == "ctrl+c" else 0
        self._leaving = host.said == LEAVE
        if host.said:
            host.tell()
        if await self.begun.take(event):
            return True
        if not host.is_current:  # the key before this one has been to show another screen
            return await cast(DispatchingScreen, host.app.screen).take_key(event)
        return await self._take_single(event)

    async def _take_single(self, event: events.Key) -> bool:
        host, shown = self._host, event.character if event.is_printable else ""
        action, shown = pressed(event.key, host.reach), shown or shown_key(event.key)
        if action is None:
            host.tell(no_use(event.key, shown, host.PLACE))
            return False
        await self.act(action, shown)
        return True

    async def act(self, action: Action, shown: str = "") -> None:
        """Run an action, or say why it does nothing.

        Args:
            action: the action.
            shown: its key, as it was typed.
        """
        if why := self._host.why_not(action):
            self._host.tell(f"{shown or shown_key(action.keys[0])}: {why}")
        else:
            await self._host.run_owned(action)

    async def click(self, name: str) -> None:
        """Do what the key of an action would do: a hint in the bottom line, or a screen in the first line."""
        host, reach = self._host, self._host.reach
        action = next((one for one in [*reach, *at(Where.EVERYWHERE)] if one.id == name), None)
        if action is None:
            return
        if action.where in TYPING:
            host.line.feed(textual_key(action.keys[0]), None)
        elif action.where in ASKING:
            self._answer(action)
        else:
            if host.line.typing:
                host.line.feed("escape", None)
            self.question = None
            self.begun.clear()
            host.tell()
            await self.act(action)

    def ask(self, question: Question) -> None:
        """Let the next key answer a question."""
        self.question = question
        self._host.tell()

    def _answer(self, action: Action | None) -> None:
        asked, self.question = self.question, None
        self._host.tell()
        if action is not None and asked is not None:
            asked.answer(action)

    def close(self, covers: Sequence[Callable[[], object] | None]) -> None:
        """Do the first thing that closes something; quit where there is none."""
        found = next(filter(None, covers), None)
        if found is not None:
            found()
        else:
            self._host.app.exit()

    def interrupt(self) -> None:
        """Stop what runs, if it can be; where nothing does, quit at the second time."""
        stop = next(filter(None, (part.interruption() for part in self._host.parts)), None)
        if stop is not None and self._interrupts == 1:
            stop()
        elif self._leaving:
            self._host.app.exit()
        else:
            self._host.tell(LEAVE)


class DispatchingScreen(Protocol):
    """A screen that takes keys."""

    def take_key(self, event: events.Key) -> Awaitable[bool]:
        """Take a key."""
