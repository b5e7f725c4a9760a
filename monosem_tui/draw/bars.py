"""Bars and sparklines out of eighths of a cell."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = " ▁▂▃▄▅▆▇█"


def bar(share: float, cells: int) -> str:
    """Return an unpadded bar over `share` (0 to 1) of `cells` cells; a positive share shows at least an eighth."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    if share > 0 and cells > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (EIGHTHS[rest] if rest else "")


def sparkline(counts: Iterable[float] | NDArray[np.generic], log: bool = False, tallest: int = 8) -> str:
    """Return one column per count, as high as its share of the largest; blank for exactly 0, at least `▁` above it.

    Args:
        counts: not negative.
        log: heights by log(1 + count), so that rare values are seen beside frequent ones.
        tallest: height of the largest, in eighths of a cell; less than 8 keeps lines below each other apart.
    """
    values = np.asarray(counts if isinstance(counts, np.ndarray) else list(counts), np.float64)
    heights = np.log1p(values) if log else values
    top = heights.max() if len(heights) else 0.0
    if top <= 0:
        return " " * len(heights)
    levels = np.where(values > 0, np.maximum(1, np.rint(tallest * heights / top)), 0).astype(int)
    return "".join(LEVELS[level] for level in levels)


def fitted(values: Iterable[float] | NDArray[np.generic], cells: int) -> NDArray[np.float64]:
    """Return the values, neighbours added up in pairs until there are no more of them than cells."""
    found = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.float64)
    while len(found) > max(1, cells) and len(found) % 2 == 0:
        found = found.reshape(-1, 2).sum(1)
    return found


def decades(value: float, low: float, high: float) -> float:
    """Return the position of a positive value between `low` and `high` on a logarithmic scale, from 0 to 1."""
    if value <= 0 or low <= 0:
        return 0.0
    if high <= low:
        return 1.0
    return float(np.clip(np.log(value / low) / np.log(high / low), 0.0, 1.0))
