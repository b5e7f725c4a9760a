"""Who is told how far the work is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol


class Progress(Protocol):
    """What `monosem_tui.cli.progress.ConsoleProgress` is, by shape."""

    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> AbstractContextManager[Any]:
        """Open a stretch of work."""
