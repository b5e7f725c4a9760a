"""Progress sent to the requesting client; raises `Cancelled` once the client has cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.runtime.progress import Fact, Task
from store.live import wire


class Cancelled(Exception):
    """The client has cancelled the work, or is gone."""


class ClientProgress:
    """Reports progress as answers, and stops cancelled work."""

    def __init__(self, number: int, send: Callable[[wire.Working], None], broken: Callable[[], bool]) -> None:
        self._number, self._send, self._broken = number, send, broken

    def say(self, text: str) -> None:
        """Send a sentence."""
        self._send(wire.Working(id=self._number, title=text))

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Report the progress of one task."""
        yield _ClientTask(self, title, total, unit, done)

    def report(self, title: str, done: int, total: int | None, unit: str) -> None:
        """Send how far a task is.

        Raises:
            Cancelled: the client has cancelled.
        """
        if self._broken():
            raise Cancelled
        self._send(wire.Working(id=self._number, title=title, done=done, total=total, unit=unit))


class _ClientTask:
    def __init__(self, telling: ClientProgress, title: str, total: int | None, unit: str, done: int) -> None:
        self._telling, self._title, self._total, self._unit, self._done = telling, title, total, unit, done

    def advance(self, amount: int, **facts: Fact) -> None:
        """Add to what is done, and report it."""
        del facts
        self._done += amount
        self._telling.report(self._title, self._done, self._total, self._unit)
