"""Progress of the model's process as answers to whoever asked, and where long work notices that it is to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.runtime.progress import Fact, Task
from store.live import wire


class Cancelled(Exception):
    """What runs is to be broken off."""


class ClientProgress:
    """Progress as answers; the place where long work notices that it is to be broken off."""

    def __init__(self, number: int, send: Callable[[wire.Answer], None], broken: Callable[[], bool]) -> None:
        self._number, self._send, self._broken = number, send, broken

    def say(self, text: str) -> None:
        """One sentence."""
        self._send(wire.Working(id=self._number, title=text))

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """A stretch of work."""
        yield _ClientTask(self, title, total, unit, done)

    def report(self, title: str, done: int, total: int | None, unit: str) -> None:
        """How far it is.

        Raises:
            Cancelled: it is to be broken off.
        """
        if self._broken():
            raise Cancelled
        self._send(wire.Working(id=self._number, title=title, done=done, total=total, unit=unit))


class _ClientTask:
    def __init__(self, telling: ClientProgress, title: str, total: int | None, unit: str, done: int) -> None:
        self._telling, self._title, self._total, self._unit, self._done = telling, title, total, unit, done

    def advance(self, amount: int, **facts: Fact) -> None:
        """Tell of it."""
        del facts
        self._done += amount
        self._telling.report(self._title, self._done, self._total, self._unit)
