"""Write an index segment by segment: while one is sealed, the next is collected.

A segment ends when its share of memory is used, or after some minutes, so that little is lost if the process is killed.
Neither affects features.h5: an unfinished index may be resumed with other memory on another machine.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from store.files.errors import MonosemError
from store.index.early_segments import early_path
from store.index.exponents import Exponents
from store.index.segment import SegmentBuilder, SparseRows, TokenRows, covered, segment_path

ENTRY_BYTES = 36
"""Bytes per activation: 14 while it is collected, up to 20 while it is sealed."""
TOKEN_BYTES = 112
"""Bytes per token, collected and sealed."""
FEATURE_BYTES = 160
"""Bytes per feature for its columns while a segment is sealed."""
PENDING = 2
"""Batches that may wait to be sorted."""
AT_ONCE = 4
"""Batches that memory is reserved for: the pending ones, one being sorted, and one being made."""
SOONEST, LATEST = 30.0, 300.0
"""Seconds after which a segment is sealed however small; the first ones soon, so that there is something to browse."""


MOST_MEMORY, LEAST_MEMORY = 2 << 30, 64 << 20
"""Bytes taken by default at most, as more makes nothing faster, and at least."""
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files in which control groups (versions 2 and 1) state the memory limit of this process."""


def default_memory() -> int:
    """Return a quarter of this machine's memory or the control group's limit, between LEAST_MEMORY and MOST_MEMORY."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in CGROUP_LIMITS:
        try:
            sizes.append(int(limit.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return max(LEAST_MEMORY, min(MOST_MEMORY, min(sizes) // 4))


def checked_memory(given: int | None) -> int:
    """Return the memory asked for, or the default.

    Raises:
        MonosemError: it is less than `LEAST_MEMORY`.
    """
    if given is not None and given < LEAST_MEMORY:
        raise MonosemError(
            f"an index cannot be built in {given:,} bytes", f"`memory` takes {LEAST_MEMORY >> 20}M and more."
        )
    return default_memory() if given is None else given


def rank_memory(memory: int, ranks: int) -> int:
    """Return the memory of each of several processes of a machine that build an index in `memory` bytes together."""
    return memory if ranks == 1 else max(LEAST_MEMORY, memory // ranks)


class SegmentWriter:
    """Appends segments to those that exist, or makes early ones.

    Use it as a context manager: the last one is sealed when the block ends.

    If the block ends by an exception, all after the last complete segment is lost; an interrupt still seals.
    """

    def __init__(
        self,
        index: Path,
        d_sae: int,
        memory: int,
        exponent_F: Exponents | None = None,
        *,
        early: tuple[int, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a writer.

        Args:
            index: the folder of the index.
            d_sae: its features.
            memory: bytes to stay under, for all segments in memory together.
            exponent_F: the exponents of common.h5.
            early: first context and first token of segments that are early (see `store.index.early_segments`); None to
                go on after those that are there.
            clock: returns seconds.
        """
        self._index, self._d_sae, self._exponent_F, self._clock = index, d_sae, exponent_F, clock
        self._room = max(memory - FEATURE_BYTES * d_sae, memory // 4)
        self._number, self.n_contexts, self._first_token = covered(index) if early is None else (0, *early)
        self._is_early = early is not None
        self._first_context = self.n_contexts
        self.clipped = self.lost = 0
        """Activations above and below what is stored, in segments that this writer sealed (see `SegmentBuilder`)."""
        self._sorting = ThreadPoolExecutor(1, "sorting")
        self._sealing = ThreadPoolExecutor(1, "sealing")
        self._pending: deque[Future[None]] = deque()
        self._sealed: Future[None] | None = None
        self._began = clock()
        self._open()

    def _open(self) -> None:
        self._builder = SegmentBuilder(self._d_sae, self._exponent_F)
        self._opened = self._clock()
        self._tokens = self._used = 0

    def add(self, rows: TokenRows, active: SparseRows) -> None:
        """Append whole contexts and their activations.

        Raises:
            MonosemError: this segment or an earlier one could not be written.
        """
        size = ENTRY_BYTES * len(active.feature) + TOKEN_BYTES * len(rows.token_N)
        too_long = self._tokens + len(rows.token_N) > self._builder.most_tokens
        if self._tokens and (too_long or self._used + AT_ONCE * size > self._room or self._is_late()):
            self._seal()
        self._tokens += len(rows.token_N)
        self._used += size
        self.n_contexts += len(rows.length_C)
        self._pending.append(self._sorting.submit(self._builder.add, rows, active))
        while len(self._pending) > PENDING:
            self._pending.popleft().result()
        if self._sealed is not None and self._sealed.done():
            self._sealed.result()

    def _is_late(self) -> bool:
        now = self._clock()
        return now - self._opened > min(max((now - self._began) / 4, SOONEST), LATEST)

    def _seal(self) -> None:
        """Pass the segment to the sealing thread, once that has written the one before, and open the next."""
        while self._pending:
            self._pending.popleft().result()
        self._wait()
        builder, index = self._builder, self._index
        path = early_path(index, self._first_context) if self._is_early else segment_path(index, self._number)
        self._sealed = self._sealing.submit(builder.seal, path, self._first_token, self._first_context)
        self._number += 1
        self._first_token += builder.n_tokens
        self._first_context = self.n_contexts
        self.clipped += builder.clipped
        self.lost += builder.lost
        self._open()

    def _wait(self) -> None:
        sealed, self._sealed = self._sealed, None
        if sealed is not None:
            sealed.result()

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if (kind is None or issubclass(kind, KeyboardInterrupt)) and self._tokens:
                self._seal()
            if kind is None:
                self._wait()
        finally:
            self._sorting.shutdown(cancel_futures=True)
            self._sealing.shutdown()
