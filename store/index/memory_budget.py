"""How much memory building an index may take."""

from __future__ import annotations

import os
from pathlib import Path

from store.files.errors import MonosemError

MOST = 2 << 30
"""What is taken at the most unless more is asked for: more makes nothing faster."""
LEAST = 64 << 20
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where control groups 2 and 1 say how much this process may have."""


def default_memory() -> int:
    """A quarter of this machine's memory, or of what the control group allows; at most MOST, at least LEAST."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in LIMITS:
        try:
            sizes.append(int(limit.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return max(LEAST, min(MOST, min(sizes) // 4))


def checked_memory(given: int | None) -> int:
    """The memory asked for, or the default.

    Raises:
        MonosemError: it is less than anything can be done with.
    """
    if given is not None and given < LEAST:
        raise MonosemError(f"an index cannot be built in {given:,} bytes", f"`memory` takes {LEAST >> 20}M and more.")
    return default_memory() if given is None else given
