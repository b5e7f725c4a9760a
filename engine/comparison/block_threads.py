"""Work on blocks by several threads: sparse products and NumPy's loops run side by side, as they let go of the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Block = TypeVar("Block")
Done = TypeVar("Done")


def in_order(work: Callable[[Block], Done], blocks: Iterable[Block], jobs: int) -> Iterator[Done]:
    """Yield the result of each block, in the blocks' order.

    Args:
        work: does a block, the same whichever blocks are worked on beside it.
        blocks: what is worked on.
        jobs: threads. So many blocks are in memory at once, and as many results that wait for their turn.
    """
    if jobs == 1:
        yield from map(work, blocks)
        return
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(jobs) as threads:
        try:
            for block in blocks:
                waiting.append(threads.submit(work, block))
                if len(waiting) > jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
