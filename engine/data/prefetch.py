"""Compute the next activations in a thread while the current ones are used."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import torch

from engine.data.activations import BlockSource

T = TypeVar("T")


class PrefetchedBlocks:
    """A block source that computes its next block in a thread, with the same blocks and positions.

    Both threads compute at once, because torch releases Python's lock. The price is the memory of one more block.
    """

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._position = source.position()
        self._thread = ThreadPoolExecutor(1, "activations")
        self._coming: Future[list[torch.Tensor]] | None = None
        self._stop = Event()

    @property
    def d_in(self) -> int:
        """Width of the rows."""
        return self._source.d_in

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """Return the next block (at most `rows` rows), and start computing the one after it in the background."""
        pieces = (self._coming or self._begin(rows)).result()
        self._position = self._source.position()
        left = rows - sum(len(piece) for piece in pieces)
        self._coming = self._begin(left) if left > 0 else None
        return pieces

    def position(self) -> dict[str, Any]:
        """Return where the block begins that `next_block` returns next."""
        return self._position

    def seek(self, position: dict[str, Any]) -> None:
        """Continue from the `position` of an earlier run."""
        self._drop()
        self._source.seek(position)
        self._position = self._source.position()

    def close(self) -> None:
        """Stop computing after the current piece, and end the thread."""
        self._drop()
        self._thread.shutdown()

    def _begin(self, rows: int) -> Future[list[torch.Tensor]]:
        return self._thread.submit(self._make, rows)

    def _make(self, rows: int) -> list[torch.Tensor]:
        pieces = []
        for piece in self._source.next_block(rows):
            if self._stop.is_set():
                break
            pieces.append(piece)
        return pieces

    def _drop(self) -> None:
        if self._coming is not None:
            self._stop.set()
            self._coming.exception()  # wait; errors of an unwanted block do not matter
            self._stop.clear()
            self._coming = None


def prefetching_pays(device: torch.device) -> bool:
    """Return whether prefetching is faster: with more than one core. With two, a sixth faster (docs/log.md)."""
    return device.type == "cuda" or (os.cpu_count() or 1) > 1


@contextmanager
def prefetched(source: BlockSource, *, wanted: bool) -> Iterator[BlockSource]:
    """Within the block, prefetch the source's blocks if wanted."""
    if not wanted:
        yield source
        return
    ahead = PrefetchedBlocks(source)
    try:
        yield ahead
    finally:
        ahead.close()


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same items, computing the next one in a thread. Close it unless all items are taken."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
