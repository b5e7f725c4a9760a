"""What is copied also lies in a file: no terminal says whether it took the copy."""

from __future__ import annotations

import os
from pathlib import Path

from store.atomic import write_text

LARGEST = 74_000
"""Bytes that terminals take in one OSC 52 sequence (xterm and tmux cap it near 100 kB of base64)."""


def copy_path() -> Path:
    """`$XDG_STATE_HOME/monosem/clipboard.txt`."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "monosem" / "clipboard.txt"


def keep(text: str) -> Path:
    """Write the copy.

    Raises:
        MonosemError: the disk is full or the folder cannot be written.
    """
    path = copy_path()
    write_text(path, text)
    return path


def fits_terminal(text: str) -> bool:
    """Whether the terminal's clipboard can be expected to take it."""
    return len(text.encode()) <= LARGEST


def home_relative(path: Path) -> str:
    """`~/.local/state/…`, as one would type it."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)
