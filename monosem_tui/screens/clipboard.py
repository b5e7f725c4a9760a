"""Copying: to the terminal's clipboard, and into a file too, as no terminal says whether it took the copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from monosem_tui.model.session_state import state_folder
from store.files.atomic import write_text
from store.files.errors import MonosemError

LARGEST = 74_000
"""Bytes that terminals take in one OSC 52 sequence: xterm and tmux cap it near 100 kB of base64."""


def copy(text: str, to_terminal: Callable[[str], None]) -> str:
    """Copy `text`, and say where it is now."""
    path = copy_path()
    try:
        write_text(path, text)
        kept = f"file: {home_relative(path)}"
    except MonosemError as error:
        kept = f"no file: {error.what}"
    except OSError as error:
        kept = f"no file: {error}"
    if len(text.encode()) > LARGEST:
        return f"too large for a terminal's clipboard · {kept}"
    to_terminal(text)
    return f"copied · {kept}" + (" · tmux: set-clipboard on" if os.environ.get("TMUX") else "")


def copy_path() -> Path:
    """`$XDG_STATE_HOME/monosem/clipboard.txt`."""
    return state_folder() / "clipboard.txt"


def home_relative(path: Path) -> str:
    """`~/.local/state/…`, as one would type it."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)
