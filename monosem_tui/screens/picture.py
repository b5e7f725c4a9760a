"""The screen as a picture: SVG, with the fonts of whoever looks at it."""

from __future__ import annotations

import io
import re

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from textual.screen import Screen


def picture(screen: Screen[None], title: str, *, light: bool) -> str:
    """What is on the screen, as SVG that asks for nothing from anywhere.

    As `App.export_screenshot`, which knows dark terminals only.
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
