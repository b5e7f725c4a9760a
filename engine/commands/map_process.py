"""`monosem map` for a parent that shows its progress: lines of JSON on standard output; ends when the parent does.

A line has the `task`, what is `done` of a `total`, and its `unit`; the last has the `name` of the map, or an `error`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from engine.commands.map import map_features
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Fact, Task
from store.files.child_process import answer, end_with_standard_input
from store.files.errors import MonosemError
from store.settings.map import Likeness, MapSettings

EVERY = 0.5
"""Least number of seconds between two lines about one task."""


class LineProgress:
    """Reports as lines of JSON."""

    def say(self, text: str) -> None:
        """Report a sentence."""
        answer({"task": text})

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Open a task."""
        yield _LineTask(title, total, unit, done)


class _LineTask:
    def __init__(self, title: str, total: int | None, unit: str, done: int) -> None:
        self._told = {"task": title, "total": total, "unit": unit}
        self._done, self._sent = done, 0.0
        self._tell()

    def advance(self, amount: int, **facts: Fact) -> None:
        """Report `amount` more units done."""
        del facts
        self._done += amount
        if time.monotonic() - self._sent >= EVERY:
            self._tell()

    def _tell(self) -> None:
        self._sent = time.monotonic()
        answer({**self._told, "done": self._done})


def main(path: Path, by: Likeness) -> None:
    """Make a map of a run folder or features.h5, by decoder directions or contexts."""
    end_with_standard_input()
    try:
        with explained():
            made = map_features(path, MapSettings(by=by), LineProgress())
    except MonosemError as error:
        answer({"error": [error.what, error.hint]})
    else:
        answer({"name": made.kept.stem, "seconds": made.seconds})


if __name__ == "__main__":
    main(Path(sys.argv[1]), cast(Likeness, sys.argv[2]))
