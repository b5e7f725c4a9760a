"""Files that a key writes into the folder that the app was started in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monosem_tui.export import write_new
from monosem_tui.screens.clipboard import home_relative
from store.errors import MonosemError


def write(name: str, content: Callable[[], str]) -> str:
    """Write what `content` gives, over no other file, and say where it is, or why there is none."""
    try:
        return f"written to {home_relative(write_new(Path.cwd() / name, content()))}"
    except MonosemError as error:
        return f"nothing written: {error.what}"
    except OSError as error:
        return f"nothing written: {error.strerror}"
