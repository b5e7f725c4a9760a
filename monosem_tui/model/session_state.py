"""Session state: one small file per store, so that the next session starts where the last one ended.

It is kept under `$XDG_STATE_HOME/monosem/stores`, named after the store's real path. Nothing in it is user data: labels
and bookmarks are in the run's notes. A file that is missing, damaged or of a later version reads as the defaults.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from store.files.atomic import read_json, write_json
from store.files.errors import MonosemError
from store.files.typed_json import decode

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class BrowseMemory:
    """List and page."""

    feature: int | None = None
    sort: str = "max"
    descending: bool = True
    dead: bool = False
    text: str = ""
    """Text of the filter."""
    front: str = "list"
    zoomed: str = ""
    wider: int = 0
    """Cells by which the user has widened the list."""
    rendering: str = ""
    log_counts: bool = False


@dataclass(frozen=True, kw_only=True)
class ExamplesMemory:
    """Choice of examples on a page."""

    intervals: int = 4
    by_value: bool = False
    one_per_document: bool = False
    extent: int = 1
    """Index into `monosem_tui.model.example_choice.EXTENTS`."""


@dataclass(frozen=True, kw_only=True)
class FindMemory:
    """Options of Find, and past patterns."""

    patterns: tuple[str, ...] = ()
    """Past patterns, latest last."""
    tokens: bool = False
    last: bool = False
    held_out: bool = False
    ordinary: bool = False
    by: str = "f1"


@dataclass(frozen=True, kw_only=True)
class LiveMemory:
    """Last prompt of Live and its settings."""

    prompt: str = ""
    clamps: str = ""
    """Clamps in the tray's notation."""
    sampling: str = ""
    """Sampling settings as typed."""
    chat: bool = False
    """Whether the prompt is a chat turn."""
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Session state of one store: one part per screen; add a part here to keep more."""

    version: int = VERSION
    store: str = ""
    """The store's resolved path, for people who open the file."""
    theme: str = ""
    """Theme chosen with `t`; empty follows the terminal."""
    browse: BrowseMemory = field(default_factory=BrowseMemory)
    examples: ExamplesMemory = field(default_factory=ExamplesMemory)
    find: FindMemory = field(default_factory=FindMemory)
    live: LiveMemory = field(default_factory=LiveMemory)


def state_folder() -> Path:
    """Return `$XDG_STATE_HOME/monosem`, else `~/.local/state/monosem`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "monosem"


def memory_path(store: Path) -> Path:
    """Return the path of a store's session state."""
    digest = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()
    return state_folder() / "stores" / f"{digest[:20]}.json"


def recall(store: Path) -> Memory:
    """Read a store's session state; defaults where it is missing or damaged."""
    try:
        data = read_json(memory_path(store))
    except MonosemError:
        data = {}
    sound = isinstance(data, dict) and data.get("version") == VERSION
    known = (data if sound else {}) | {"version": VERSION, "store": str(store.resolve())}
    return decode(Memory, known, lenient=True)


def keep(store: Path, memory: Memory) -> None:
    """Write session state atomically; if that fails, only the state is lost."""
    try:
        write_json(memory_path(store), asdict(memory))
    except (MonosemError, OSError, UnicodeEncodeError):
        return
