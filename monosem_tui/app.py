"""The terminal app: one run, its screens, the terminal's own colours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from textual import events
from textual.app import App

from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.text.opened import OpenRun
from monosem_tui.text.palette import Palette


@runtime_checkable
class TakesKeys(Protocol):
    """A screen that may have a line of text to type into."""

    def take_key(self, event: events.Key) -> bool:
        """Take a key; False leaves it to the bindings."""


Start = Callable[[asyncio.AbstractEventLoop, Callable[[int], object]], None]


class MonosemApp(App[None]):
    """Everything that a person sees of one run."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    TITLE = "monosem"

    def __init__(self, run: OpenRun, palette: Palette, on_start: Start | None = None) -> None:
        """Prepare the app.

        Args:
            run: what to browse.
            palette: how roles look on this terminal.
            on_start: called once with the running loop and a function that leaves the app with an exit code.
        """
        # The built-in ANSI themes leave every colour that is not set to the terminal.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark" if palette.dark else "ansi-light"
        self.animation_level = "none"
        self._run_opened, self._palette, self._on_start = run, palette, on_start

    def get_default_screen(self) -> BrowseScreen:
        """The feature list."""
        return BrowseScreen(self._run_opened, self._palette)

    async def on_event(self, event: events.Event) -> None:
        """Offer each key to the screen's line of text first, in the order of the keys."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            screen = self.screen
            if isinstance(screen, TakesKeys) and screen.take_key(event):
                return
        await super().on_event(event)

    def on_app_blur(self, event: events.AppBlur) -> None:
        """Another window has the keyboard: nothing here looks different for it, so nothing is repainted."""
        event.prevent_default()

    def on_mount(self) -> None:
        """Draw again whenever the shell gives the terminal back, and hand the loop to whoever launched the app."""
        self.app_resume_signal.subscribe(self, lambda _: self.refresh())
        if self._on_start is not None:
            self._on_start(asyncio.get_running_loop(), lambda code: self.exit(return_code=code))
