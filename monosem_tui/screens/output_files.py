"""Output of a key: the clipboard with a copy in a file, and new files in the working directory."""

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
    """Copy `text` to the terminal's clipboard and, as no terminal confirms that, to a file; return where it is now."""
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


def write(name: str, content: Callable[[], str]) -> str:
    """Write `content()` to a new file; return where it is, or why it was not written."""
    from store.files.output_file import write_new

    try:
        return f"written to {home_relative(write_new(Path.cwd() / name, content()))}"
    except MonosemError as error:
        return f"nothing written: {error.what}"
    except OSError as error:
        return f"nothing written: {error.strerror}"
    except Exception as error:
        return f"nothing written: {unreadable(error).what}"


def unreadable(error: Exception) -> MonosemError:
    """Return what to show where reading a store has failed in an unforeseen way."""
    what = f"the store is damaged, or has changed while it was open: {type(error).__name__}: {error}"
    return MonosemError(what, "`monosem verify` says what is readable.")
