"""How long work tells of itself: the engine reports, whoever started it decides how that looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Fact = float | int | str


class Task(Protocol):
    """One stretch of work of known or unknown length."""

    def advance(self, amount: int, **facts: Fact) -> None:
        """Report `amount` more units done, with the figures of the moment (loss, l0, …)."""


class Progress(Protocol):
    """Where the engine reports to."""

    def say(self, text: str) -> None:
        """One finished sentence for the person who waits."""

    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> AbstractContextManager[Task]:
        """Open a stretch of work: its name, its length in `unit` (None if unknown), and what was done before."""


class _SilentTask:
    def advance(self, amount: int, **facts: Fact) -> None:
        """Nobody listens."""


class Silent:
    """Reports to nobody."""

    def say(self, text: str) -> None:
        """Nobody listens."""

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Nobody listens."""
        del title, total, unit, done
        yield _SilentTask()
