"""Files that a key writes into the folder that the app was started in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monosem_tui.screens.clipboard import home_relative
from store.files.errors import MonosemError
from store.files.output_file import write_new


def write(name: str, content: Callable[[], str]) -> str:
    """Write what `content` gives, over no other file, and say where it is, or why there is none."""
    try:
        return f"written to {home_relative(write_new(Path.cwd() / name, content()))}"
    except MonosemError as error:
        return f"nothing written: {error.what}"
    except OSError as error:
        return f"nothing written: {error.strerror}"
    except Exception as error:
        return f"nothing written: {unreadable(error).what}"


def unreadable(error: Exception) -> MonosemError:
    """What to say where reading a store has failed in a way that nobody has foreseen."""
    what = f"the store is damaged, or has changed while it was open: {type(error).__name__}: {error}"
    return MonosemError(what, "`monosem verify` says what is readable.")
