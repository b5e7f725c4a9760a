"""Making the next activations while the present ones are worked on."""

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


class Ahead:
    """A source that makes its next block in a thread of its own. It gives the same blocks, and the same positions.

    Python lets both threads compute at once, because torch holds no lock while it does. What it costs is the memory of
    one more block.
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
        """The next block, of `rows` at the most; the one behind it is begun, to be taken with as many rows fewer."""
        pieces = (self._coming or self._begin(rows)).result()
        self._position = self._source.position()
        left = rows - sum(len(piece) for piece in pieces)
        self._coming = self._begin(left) if left > 0 else None
        return pieces

    def position(self) -> dict[str, Any]:
        """Where the block begins that `next_block` gives next."""
        return self._position

    def seek(self, position: dict[str, Any]) -> None:
        """Go on from a `position` of an earlier run."""
        self._drop()
        self._source.seek(position)
        self._position = self._source.position()

    def close(self) -> None:
        """Stop what is being made, between two of its pieces, and let the thread go."""
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
            self._coming.exception()  # waits; what went wrong with a block that nobody wants is nobody's concern
            self._stop.clear()
            self._coming = None


def makes_ahead(device: torch.device) -> bool:
    """Whether it pays: wherever there is more than one core. On two it is a sixth faster (docs/log.md)."""
    return device.type == "cuda" or (os.cpu_count() or 1) > 1


@contextmanager
def made_ahead(source: BlockSource, *, wanted: bool) -> Iterator[BlockSource]:
    """The source with its blocks made ahead, if that is wanted; its thread ends with this block."""
    if not wanted:
        yield source
        return
    ahead = Ahead(source)
    try:
        yield ahead
    finally:
        ahead.close()


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, the next one made in a thread while the present one is used. Close it where not all are taken."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
