"""Wall-clock times: medians, their spread, and ratios of what was timed in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def seconds(work: Callable[[], object], times: int) -> float:
    """Median time of `work`, one warm-up first."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def grouped(number: float) -> str:
    """A whole number with a space between thousands."""
    return f"{number:,.0f}".replace(",", " ")


def spread(speeds: Sequence[float]) -> str:
    """The least and the greatest of them."""
    return f"{grouped(min(speeds))} – {grouped(max(speeds))}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of ours over theirs, round by round: what slows one round slows both sides of it."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
