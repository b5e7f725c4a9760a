"""Progress in plain text, for a notebook or a script: one line per task that is rewritten in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from engine.runtime.progress import Fact, Task

SECONDS = 0.25
"""Least time between two writings of a line: every one crosses the network where a notebook runs on a server."""


class _Line:
    """The line of one task."""

    def __init__(self, stream: TextIO, title: str, total: int | None, unit: str, done: int) -> None:
        self._stream, self._title, self._total, self._unit = stream, title, total, unit
        self._done, self._facts = done, ""
        self._written, self._width = 0.0, 0

    def advance(self, amount: int, **facts: Fact) -> None:
        """Count `amount` more units, and write the line if it is time."""
        self._done += amount
        shown = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
        )
        self._facts = "  ".join(shown) or self._facts
        if time.monotonic() - self._written >= SECONDS:
            self.write()

    def write(self, end: str = "") -> None:
        """Write the line over the one before it."""
        whole = "" if self._total is None else f" of {self._total:,} ({100 * self._done // max(1, self._total)} %)"
        text = f"{self._title}: {self._done:,}{whole} {self._unit}  {self._facts}".rstrip()
        self._stream.write("\r" + text.ljust(self._width) + end)
        self._stream.flush()
        self._written, self._width = time.monotonic(), len(text)


class NotebookProgress:
    """Writes sentences and one line per task to a stream: stderr unless another is given."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def say(self, text: str) -> None:
        """Write one sentence."""
        self._stream.write(text + "\n")
        self._stream.flush()

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Open a task; its line stays when the block ends."""
        line = _Line(self._stream, title, total, unit, done)
        line.write()
        try:
            yield line
        finally:
            line.write("\n")
