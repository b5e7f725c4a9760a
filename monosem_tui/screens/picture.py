"""The screen as a picture: SVG, in the fonts of the viewer."""

from __future__ import annotations

import io
import re

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from textual.screen import Screen

from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.output_files import write
from monosem_tui.screens.part import ScreenPart


class PictureFile(ScreenPart):
    """Writes the screen to a file."""

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host

    def action_picture(self) -> None:
        """Write the screen to a file as a picture."""
        from monosem_tui.export.page_files import file_name

        host = self._host
        run, light = host.session.run, not host.session.palette.dark
        name = run.name if run else "runs"
        host.tell(write(file_name(name, host.VIEW, "picture"), lambda: picture(host, name, light=light)))


def picture(screen: Screen[None], title: str, *, light: bool) -> str:
    """Return the screen as SVG that loads nothing from anywhere.

    `App.export_screenshot` does the same for dark terminals only.
    """
    width, height = screen.app.size
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
        safe_box=False,
    )
    console.print(screen._compositor.render_update(full=True))
    svg = console.export_svg(title=title, theme=DEFAULT_TERMINAL_THEME if light else SVG_EXPORT_THEME)
    # Rich names a server that has its font.
    return re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg)
