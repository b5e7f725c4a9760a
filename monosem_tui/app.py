"""The terminal app: one run, its screens, the terminal's own colours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import events
from textual.app import App

from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.text.opened import OpenRun
from monosem_tui.text.palette import Palette

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

    def on_app_blur(self, event: events.AppBlur) -> None:
        """Another window has the keyboard: nothing here looks different for it, so nothing is repainted."""
        event.prevent_default()

    def on_mount(self) -> None:
        """Hand the loop to whoever launched the app."""
        if self._on_start is not None:
            self._on_start(asyncio.get_running_loop(), lambda code: self.exit(return_code=code))
