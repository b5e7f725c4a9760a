"""The theme: dark, light, or the terminal's own colours."""

from __future__ import annotations

from dataclasses import replace

from monosem_tui.keys.actions import Need
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart


class ThemeChoice(ScreenPart):
    """Changes the palette of all screens."""

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host
        self.needs = {Need.COLOURS: lambda: bool(host.session.palette.colors)}

    def action_theme(self) -> None:
        """Take the next theme."""
        self.choose("")

    def choose(self, name: str) -> None:
        """Take a theme; the next one where it has no name."""
        host, palette = self._host, self._host.session.palette
        if not palette.colors:
            host.tell(Need.COLOURS.value)
            return
        palette = palette.themed(name) if name else palette.following()
        host.session.palette = palette
        host.session.memory = replace(host.session.memory, theme=palette.name)
        host.repaint(palette)
        host.tell("plain theme" if palette.plain else f"colours for a {palette.name} terminal")
