"""Free memory and disk, the memory of this process, and malloc's thresholds."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers of mallopt parameters (malloc.h)."""
KEPT_BYTES = 1 << 28
"""Freed memory that malloc may keep for the next tensors."""
LARGEST_KEPT = 1 << 25
"""The highest mmap threshold that glibc accepts."""


def free_disk(path: Path) -> int | None:
    """Return the bytes free to this user on the disk of `path`, which need not exist yet; None if unknown."""
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def free_memory() -> int | None:
    """Return the smaller of MemAvailable and what the control group's limit leaves, in bytes; None if unknown."""
    found = [size for size in (_available(), _cgroup_room()) if size is not None]
    return min(found) if found else None


def resident() -> int:
    """Return this process's resident memory in bytes; 0 if unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def keep_freed_memory() -> None:
    """Let glibc's malloc keep up to KEPT_BYTES of freed memory.

    By default glibc returns pages to the system when a step's tensors are freed, and the next step faults them in one
    by one: 500 faults per step of 64 to 8 192 features, a sixth of its time (docs/log.md). Settings in the environment
    take precedence.
    """
    if os.environ.keys() & {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}:
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library
        return
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)


def _available() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _cgroup_room() -> int | None:
    """Return limit minus use of control groups 2 or 1, counting reclaimable page cache as free; None without limit."""
    for limit_name, used_name, stat_name, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            limit, used = (int((CGROUP / name).read_text()) for name in (limit_name, used_name))
            stat = dict(line.split() for line in (CGROUP / stat_name).read_text().splitlines())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return max(0, limit - used + int(stat.get(cache, 0)))
    return None


def gigabytes(n_bytes: int) -> str:
    """Format bytes as `3.2 GB` or `45 MB`, with at least two digits."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**7 else f"{n_bytes / 1e6:.1f} MB"
