"""What one comes back to: a small file a store, so that the next sitting begins where the last one ended.

It lies under `$XDG_STATE_HOME/monosem/stores`, named after the store's real path. Nothing in it is user data: labels
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
    """The filter."""
    front: str = "list"
    zoomed: str = ""
    wider: int = 0
    """Cells that the list was given beyond its usual width."""
    rendering: str = ""
    log_counts: bool = False


@dataclass(frozen=True, kw_only=True)
class ExamplesMemory:
    """What is asked of a page's examples."""

    intervals: int = 4
    one_per_document: bool = False
    extent: int = 1
    """Place in `monosem_tui.model.example_choice.EXTENTS`."""


@dataclass(frozen=True, kw_only=True)
class FindMemory:
    """How one searches, and for what one has."""

    patterns: tuple[str, ...] = ()
    """The latest last."""
    tokens: bool = False
    last: bool = False
    held_out: bool = False
    by: str = "f1"


@dataclass(frozen=True, kw_only=True)
class LiveMemory:
    """What was written last, and how."""

    prompt: str = ""
    clamps: str = ""
    """As the tray writes them."""
    sampling: str = ""
    """As it is typed."""
    chat: bool = False
    """Whether the prompt is a turn of a chat."""
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """All that is kept of one store. Each screen has a part of its own; add one here to keep more."""

    version: int = VERSION
    store: str = ""
    """The store's real path, for people who look into the file."""
    theme: str = ""
    """What `t` chose; empty leaves it to the terminal."""
    browse: BrowseMemory = field(default_factory=BrowseMemory)
    examples: ExamplesMemory = field(default_factory=ExamplesMemory)
    find: FindMemory = field(default_factory=FindMemory)
    live: LiveMemory = field(default_factory=LiveMemory)


def state_folder() -> Path:
    """`$XDG_STATE_HOME/monosem`, else `~/.local/state/monosem`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "monosem"


def memory_path(store: Path) -> Path:
    """Where a store's memory lies."""
    digest = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()
    return state_folder() / "stores" / f"{digest[:20]}.json"


def recall(store: Path) -> Memory:
    """What is kept of a store."""
    try:
        data = read_json(memory_path(store))
    except MonosemError:
        data = {}
    sound = isinstance(data, dict) and data.get("version") == VERSION
    known = (data if sound else {}) | {"version": VERSION, "store": str(store.resolve())}
    return decode(Memory, known, lenient=True)


def keep(store: Path, memory: Memory) -> None:
    """Write it, all or nothing; where that is not possible the next sitting begins anew, and nothing else is lost."""
    try:
        write_json(memory_path(store), asdict(memory))
    except (MonosemError, OSError, UnicodeEncodeError):
        return
