"""Round numbers for defaults."""

from __future__ import annotations

import math


def nearest_power_of_two(wanted: float, low: int, high: int) -> int:
    """Return the power of two nearest to `wanted` by ratio, limited to `low` and `high`."""
    return min(max(1 << max(0, round(math.log2(max(wanted, 1.0)))), low), high)
