"""Capabilities of the terminal, decided before textual is imported: it reads the environment once, at import."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.files.errors import MonosemError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

COLORS = {"truecolor": "truecolor", "256": "256", "16": "standard", "none": "standard"}
"""Values of --color besides `auto`, with textual's names."""
THEMES = ("dark", "light", "plain")
"""Values of --theme; `plain` uses only the terminal's own colours."""
MILLIONS = ("xterm-kitty", "xterm-ghostty", "ghostty", "alacritty", "foot", "wezterm", "contour", "rio", "iterm2")
"""Values of TERM with 24-bit colour. Rich takes most of them for 16 colours, and SSH drops COLORTERM."""
LOCAL_ESCAPE, REMOTE_ESCAPE = 25, 100
"""Milliseconds after which an escape character is the key, not the start of a sequence split by the network."""


@dataclass(frozen=True)
class Terminal:
    """Settings of one terminal."""

    color: str
    """A key of `COLORS`."""
    theme: str
    """A key of `THEMES`."""
    mouse: bool
    escape_ms: int
    asked: bool = False
    """Whether the user chose the theme; else the last session's choice applies."""

    @property
    def colors(self) -> int:
        """Colours used: 0, 16 or 256."""
        return {"none": 0, "16": 16}.get(self.color, 256)

    def settings(self) -> dict[str, str | None]:
        """Return environment variables for numpy and textual; None removes one."""
        return {
            "TEXTUAL_COLOR_SYSTEM": COLORS[self.color],
            "TEXTUAL_ANIMATIONS": "none",
            "TEXTUAL_SMOOTH_SCROLL": "0",
            "ESCDELAY": str(self.escape_ms),
            "NO_COLOR": "1" if self.color == "none" else None,
            # Nothing here multiplies matrices; a thread pool would cost 50 ms of processor time.
            "OPENBLAS_NUM_THREADS": "1",
            # Exported by some shells, these would hide every change of the window's size.
            "COLUMNS": None,
            "LINES": None,
        }


def in_browser(environ: Mapping[str, str]) -> bool:
    """Return whether textual-serve started this process, so that its output goes to a browser."""
    return environ.get("TEXTUAL_DRIVER", "").endswith("WebDriver")


def require_terminal(environ: Mapping[str, str]) -> None:
    """Refuse to draw without a terminal.

    Raises:
        MonosemError: standard input, output or error is not a terminal, or it cannot move its cursor.
    """
    streams = {"input": sys.__stdin__, "output": sys.__stdout__, "error": sys.__stderr__}
    for name, stream in streams.items():
        if stream is None or not stream.isatty():
            raise MonosemError(
                f"monosem tui needs a terminal, and standard {name} is not one",
                "Run it without pipes and redirections; monosem show prints one feature as text.",
            )
    if environ.get("TERM") == "dumb":
        raise MonosemError(
            "monosem tui needs a terminal that can move its cursor, and TERM is dumb",
            "monosem show prints one feature as text.",
        )


def decide(
    environ: Mapping[str, str], color: str | None = None, mouse: bool | None = None, theme: str | None = None
) -> Terminal:
    """Choose colours, theme, mouse and the wait after escape; explicit choices win over guesses.

    Args:
        environ: the environment.
        color: `auto`, `truecolor`, `256`, `16` or `none`; None leaves it to $MONOSEM_COLOR, then to $NO_COLOR.
        mouse: None leaves it off over SSH, where each movement would cost a repaint, and on otherwise.
        theme: `dark`, `light` or `plain`; None leaves it to $MONOSEM_THEME, then to what the terminal says.

    Raises:
        MonosemError: an unknown colour or theme.
    """
    remote = bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    escape = environ.get("ESCDELAY", "")
    return Terminal(
        color=_color(environ, color),
        theme=_theme(environ, theme),
        mouse=not remote if mouse is None else mouse,
        escape_ms=int(escape) if escape.isdigit() else REMOTE_ESCAPE if remote else LOCAL_ESCAPE,
        asked=bool(theme or environ.get("MONOSEM_THEME")),
    )


def apply(settings: Mapping[str, str | None]) -> None:
    """Apply settings to this process's environment."""
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def leave_on_signals(loop: AbstractEventLoop, leave: Callable[[int], object]) -> None:
    """Call `leave` with an exit code on SIGHUP and SIGTERM.

    By default either ends the process at once: no clean-up runs, and the terminal stays in the app's mode.
    """
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, leave, 128 + number)


def _color(environ: Mapping[str, str], given: str | None) -> str:
    asked = given or environ.get("MONOSEM_COLOR") or ("none" if environ.get("NO_COLOR") else "auto")
    if asked in COLORS:
        return asked
    if asked != "auto":
        raise MonosemError(f"there is no colour setting {asked!r}", f"It is one of: auto, {', '.join(COLORS)}.")
    term = environ.get("TERM", "").lower()
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith(("-direct", "-truecolor")):
        return "truecolor"
    if term in MILLIONS:
        return "truecolor"
    return "256" if "256color" in term else "16"


def _theme(environ: Mapping[str, str], given: str | None) -> str:
    asked = given or environ.get("MONOSEM_THEME", "")
    if asked not in ("", *THEMES):
        raise MonosemError(f"there is no theme {asked!r}", f"It is one of: {', '.join(THEMES)}.")
    # Some terminals set "foreground;background" as numbers of the 16 colours: 7 and 15 are white.
    light = environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    return asked or ("light" if light else "dark")
