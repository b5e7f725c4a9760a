"""What takes long is shown while it happens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from engine.runtime.progress import LONG, Silent, Task, sha256_of


class Recorder(Silent):
    """Keeps the tasks and the amounts reported."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int | None, str]] = []
        self.done = 0

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        self.tasks.append((title, total, unit))
        yield self

    def advance(self, amount: int, **facts: float | int | str) -> None:
        self.done += amount


def test_digests_of_large_files_are_shown() -> None:
    blocks = [b"a" * (3 << 20), b"b" * 100]
    for size, shown in ((LONG - 1, []), (LONG, [("reading", LONG >> 20, "MiB")])):
        seen = Recorder()
        assert sha256_of(blocks, size, "reading", seen) == hashlib.sha256(b"".join(blocks)).hexdigest()
        assert seen.tasks == shown
        assert seen.done == 3 * bool(shown)
