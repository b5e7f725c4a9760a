"""Keys that begin something longer: the digits of a count, as in 5j or 42G, and the z of zz, zt and zb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from textual import events
from textual.app import App
from textual.timer import Timer

from monosem_tui.keys.actions import Action
from monosem_tui.keys.counts import MOST_DIGITS, counted
from monosem_tui.keys.table import begins, pressed


class KeyHost(Protocol):
    """The screen whose keys they are."""

    @property
    def app(self) -> App[Any]:
        """The app, which takes all keys in their order."""

    @property
    def reach(self) -> list[Action]:
        """The actions that keys run now."""

    def why_not(self, action: Action) -> str:
        """Return why an action does nothing now; empty where it does something."""

    def retell(self) -> None:
        """Draw the bottom line again."""


class KeySequence:
    """Holds a key back while another may follow that belongs to it.

    A key that means something by itself, such as the digit of a screen, is run if none follows within the pause. Keys
    and the end of the pause are both taken by the app, one after the other, so that none overtakes another.
    """

    def __init__(self, host: KeyHost, act: Callable[[Action, str], Awaitable[None]], pause: float) -> None:
        """Begin with no key held back.

        Args:
            host: the screen.
            act: runs an action, given its keys as they were typed.
            pause: seconds for which a key is held back; with 0 a key that means something by itself is run at once.
        """
        self._host, self._act, self._pause = host, act, pause
        self._timer: Timer | None = None
        self.typed = ""
        """The keys held back."""

    def clear(self) -> None:
        """Drop what is held back."""
        self.typed = ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    async def take(self, event: events.Key) -> bool:
        """Take a key that begins, goes on with or ends something longer; return whether that was all there is to it."""
        key, typed = event.key, self.typed
        if not typed:
            if not self._begins(key):
                return False
            self._hold(key)
            return True
        self.clear()
        self._host.retell()
        if key == "escape":
            return True
        if typed.isdigit() and key.isdigit() and len(typed) < MOST_DIGITS:
            self._hold(typed + key)
            return True
        action = self._whole(typed, key)
        if action is not None:
            await self._act(action, typed + (event.character or key))
            return True
        alone = pressed(typed, self._host.reach)
        if alone is not None:
            await self._act(alone, typed)
        return False

    def _begins(self, key: str) -> bool:
        reach = self._host.reach
        if self._pause <= 0 and pressed(key, reach) is not None:
            return False
        if key.isdigit() and key != "0":
            return any(counted(action, 1) and not self._host.why_not(action) for action in reach)
        return begins(key, reach)

    def _hold(self, typed: str) -> None:
        self.typed = typed
        if pressed(typed, self._host.reach) is not None:
            self._timer = self._host.app.set_timer(self._pause, partial(self._run_alone, typed))
        self._host.retell()

    async def _run_alone(self, typed: str) -> None:
        """Run the key that was held back, unless another has come meanwhile."""
        if self.typed != typed:
            return
        action = pressed(typed, self._host.reach)
        self.clear()
        self._host.retell()
        if action is not None:
            await self._act(action, typed)

    def _whole(self, typed: str, key: str) -> Action | None:
        reach = self._host.reach
        if not typed.isdigit():
            return pressed(typed + key, reach)
        action = pressed(key, reach)
        return counted(action, int(typed)) if action is not None else None
