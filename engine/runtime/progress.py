"""Progress protocol: the engine reports, the caller renders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Fact = float | int | str


class Task(Protocol):
    """A piece of work in progress, of known or unknown length."""

    def advance(self, amount: int, **facts: Fact) -> None:
        """Report `amount` more units done, with current figures (loss, l0, …)."""


class Progress(Protocol):
    """Receives the engine's reports."""

    def say(self, text: str) -> None:
        """Report one complete sentence."""

    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> AbstractContextManager[Task]:
        """Open a piece of work: its name, its length in `unit` (None if unknown), and the units done before."""


class _SilentTask:
    def advance(self, amount: int, **facts: Fact) -> None:
        pass


class Silent:
    """Discards all reports."""

    def say(self, text: str) -> None:
        """Discard the sentence."""

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Open a task that discards its reports."""
        del title, total, unit, done
        yield _SilentTask()
