"""Progress protocol: the engine reports, the caller renders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Fact = float | int | str
LONG = 10**9
"""Bytes of files from which reading them is shown."""


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


def sha256_of(blocks: Iterable[bytes], size: int, title: str, progress: Progress) -> str:
    """Return the SHA-256 of consecutive blocks of about `size` bytes together, with progress where that takes long."""
    digest, shown = hashlib.sha256(), progress if size >= LONG else Silent()
    with shown.task(title, size >> 20, "MiB") as bar:
        for block in blocks:
            digest.update(block)
            bar.advance(len(block) >> 20)
    return digest.hexdigest()
