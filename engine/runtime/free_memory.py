"""How much memory and disk there is, and how much of it this process has."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's names of what mallopt sets (malloc.h)."""
KEPT_BYTES = 1 << 28
LARGEST_KEPT = 1 << 25
"""The most that glibc takes as a threshold."""


def free_disk(path: Path) -> int | None:
    """Bytes free to this user where `path` is, or is to be."""
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def free_memory() -> int | None:
    """MemAvailable, or what the control group's limit leaves, if that is less."""
    found = [size for size in (_available(), _cgroup_room()) if size is not None]
    return min(found) if found else None


def resident() -> int:
    """Bytes of memory that this process has now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def keep_freed_memory() -> None:
    """Let malloc keep up to KEPT_BYTES that were freed for the next tensors, where the C library is glibc.

    As it comes, glibc gives pages back to the system when a step's tensors are freed, and the next step faults them in
    one by one: 500 faults a step of 64 to 8 192 features, a sixth of its time (docs/log.md). What the user has set in
    the environment holds.
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
    """Limit minus use, of control groups 2 or 1; page cache that can be given back is not counted as used."""
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
    """`3.2 GB`, `45 MB`: with two figures at the least."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**7 else f"{n_bytes / 1e6:.1f} MB"
